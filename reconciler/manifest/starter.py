"""The manifest that `pinrec init` writes: commented, valid as it stands, and pinning nothing yet."""


def starter(owner: str, *, schema: str) -> str:
    """The text of a manifest owned by `owner`.

    `schema` is the path or URL of the manifest's JSON Schema, for editors with a YAML language server.
    """
    return f"""\
# yaml-language-server: $schema={schema}
# A pinrec manifest: the pinning services, and the pins that they shall hold.
# `pinrec plan` shows what would change, `pinrec apply` does it.
version: 1

# The owner: the mark on every pin that is created from here. Only pins with this mark are ever changed or
# deleted, so keep it as it is, and choose another in every other manifest.
name: {owner}

# A Kubo node, for policies: a URL, a multiaddr or a file. `node: {{}}` is the one that $IPFS_PATH/api names.
# node: {{api: "http://127.0.0.1:5001"}}

services:
  # Each service by a name of your choice. A preset knows the endpoint, the limits and the habits of a service:
  # pinata, filebase, 4everland, ipfs-cluster, helia, functionland, sandbox.
  local:
    preset: sandbox
    endpoint: http://127.0.0.1:5010     # where `pinrec sandbox --port 5010` listens
    key: {{env: PINREC_SANDBOX_TOKEN}}    # where the key is found, never the key itself
  # pinata:
  #   preset: pinata
  #   key: {{env: PINATA_JWT}}            # or {{file: ~/.config/pinrec/pinata.token}}, command, keyring
  #   policies: [all-in-mfs, photos]    # what these follow is pinned here, beside what `pins` lists
  # cluster:
  #   preset: ipfs-cluster
  #   endpoint: http://127.0.0.1:9097
  #   key: {{file: ~/.config/pinrec/cluster.token}}
  #   limits: {{requests: 10/s, concurrency: 16}}

# What keeps pins up to date by itself. all-in-mfs, the whole of the node's MFS, is built in.
# policies:
#   photos: {{kind: mfs, path: /photos, retain: 3}}

defaults:
  services: [local]

# The pins that shall exist. A name is the identity of a pin; change its CID and the pin is replaced: the new
# one is added, and the old one deleted when the new one is pinned.
pins: []
  # - name: website
  #   cid: bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi
  # - name: docs
  #   cid: {{env: DOCS_CID}}              # what a build left: in the environment, or {{file: dist.cid}}
  #   services: {{replicas: 2, of: [pinata, cluster, local]}}
  #   meta: {{team: web}}
  #   protect: true                     # never deleted until `unprotect` names it
  #   expires: 2030-12-31               # from then on not desired
  # - from: datasets.txt                # many: `cid name` a line, or CSV, or NDJSON
  #   namePrefix: data/

# adopt: ["website"]                    # take over pins that were made by hand
# ignore: ["legacy/*"]                  # never touch these
# protected: ["releases/*"]             # never delete these
# guards: {{maxDeletes: 10%, maxReplaces: 30%}}
"""
