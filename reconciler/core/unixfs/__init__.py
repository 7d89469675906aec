"""UnixFS: files and folders as blocks, with the CIDs that Kubo gives them for the same bytes and options.

    failure     what is no UnixFS, or cannot be made one
    varint      unsigned varints, as protobuf and CIDs have them
    address     CIDs as bytes, as they stand in links
    blocks      where blocks come from and go to: `Get`, `Sink`, `Writer`, `Entry`, `Part`
    dagpb       a dag-pb node: links and data
    message     the UnixFS message in a node's data
    params      how content is cut and linked: Kubo's defaults, `--cid-version=1`, `unixfs-v1-2025`
    balanced    the layout of `ipfs add`           } both take leaves as they come and
    trickle     the layout of MFS and `--trickle`  } hold no more than one path of the tree
    file        a file from its bytes, pushed piece by piece
    reading     a file's bytes from its blocks, from any offset
    modify      a file written into and truncated in place, as MFS does it
    murmur      the hash that places names in a sharded directory
    hamt        a sharded directory, of which a change touches one path
    directory   a directory, plain or sharded as its size asks
    tree        a whole folder, streamed
    stat        what a root is: kind, sizes, links
    walk        all blocks below a root

CIDs are bytes in here, since that is what links hold and what a million leaves can afford; `address` turns them
into texts and `core.cid.Cid`. Nothing reads a file, a clock or a network: bytes come in, blocks go to a sink.

Sources: the UnixFS and dag-pb specifications, and boxo (ipld/unixfs), whose CIDs are what "equal" means.
Modes and times are kept where a node has them and never made, as `ipfs add` does without `--preserve-mode`.
"""
