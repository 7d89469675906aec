"""Names that move and paths, followed without a node: DNSLink by DNS, IPNS records and blocks by trustless gateways.

A gateway is a stranger that carries things: a record counts if the name's own key signed it, a block if it hashes to
its CID. What is left to trust is DNS.

    signature   signatures of records: the one door to `cryptography`
    gateways    records and blocks from several gateways, checked
    below       a path below a CID, through directories of any size
    memory      the best record seen of each name, so that nobody is led back to an older one
    resolver    `Resolver`: from a path to a CID, through as many names as it takes

With a node the node is asked instead (`node.names`).
"""
