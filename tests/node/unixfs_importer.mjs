// ipfs-unixfs-importer, what @helia/unixfs is made of: the CIDs of folders.
// usage: node unixfs_importer.mjs < cases.json
// A case: {"params": {cidVersion, rawLeaves, chunkSize, maxLinks, trickle, shardAbove}, "files": [{"path", "base64"}]};
// without "base64" it is a directory. Prints the CID of each case's outermost directory, one a line.
import { readFileSync } from 'node:fs'
import { BlackHoleBlockstore } from 'blockstore-core/black-hole'
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced, trickle } from 'ipfs-unixfs-importer/layout'

async function rootOf ({ params, files }) {
  const source = files.map(({ path, base64 }) =>
    base64 === undefined ? { path } : { path, content: Buffer.from(base64, 'base64') }
  )
  const links = { maxChildrenPerNode: params.maxLinks }
  const options = {
    cidVersion: params.cidVersion,
    rawLeaves: params.rawLeaves,
    chunker: fixedSize({ chunkSize: params.chunkSize }),
    layout: params.trickle ? trickle({ ...links, layerRepeat: 4 }) : balanced(links),
    // Kubo's trickle leaves are marked so, and it keeps the root over a single one.
    leafType: params.trickle ? 'raw' : 'file',
    reduceSingleLeafToSelf: !params.trickle,
    shardSplitThresholdBytes: params.shardAbove,
    wrapWithDirectory: true
  }
  let last
  for await (const entry of importer(source, new BlackHoleBlockstore(), options)) {
    last = entry
  }
  return last.cid
}

for (const one of JSON.parse(readFileSync(0, 'utf8'))) {
  console.log(String(await rootOf(one)))
}
