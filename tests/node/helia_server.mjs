// Helia's pinning service over a node that keeps everything in memory and knows no network.
// usage: node helia_server.mjs TOKEN [BLOCKS]
// It holds the raw blocks "block 0" … and prints their CIDs, one a line, then "ready PORT". Other content is never found.
//
// The node is put together by hand: the usual set-up wants native modules that cannot be built everywhere.
import { createPinningServiceAPIServer } from '@helia/pinning-service-api-server'
import { Helia } from '@helia/utils'
import { defaultLogger } from '@libp2p/logger'
import { MemoryBlockstore } from 'blockstore-core'
import { MemoryDatastore } from 'datastore-core'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

async function offlineNode (blockstore) {
  const logger = defaultLogger()
  // What Helia and the service call on them; none of it may reach out.
  const libp2p = {
    logger,
    dial: async () => {},
    getMultiaddrs: () => [],
    start: async () => {},
    stop: async () => {}
  }
  const router = { provide: async () => {}, cancelReprovide: async () => {} }
  const node = new Helia({
    blockstore,
    datastore: new MemoryDatastore(),
    libp2p,
    logger,
    blockBrokers: [],
    routers: [router],
    dns: {}
  })
  node.libp2p = libp2p // the service asks the node itself for its addresses
  return node
}

async function putBlock (blockstore, text) {
  const bytes = new TextEncoder().encode(text)
  const cid = CID.createV1(raw.code, await sha256.digest(bytes))
  await blockstore.put(cid, bytes)
  return cid
}

const [token, blocks = '0'] = process.argv.slice(2)
const blockstore = new MemoryBlockstore()
const node = await offlineNode(blockstore)
for (let i = 0; i < Number(blocks); i++) {
  console.log(String(await putBlock(blockstore, `block ${i}`)))
}
const server = await createPinningServiceAPIServer(node, {
  validateAccessToken: async (given) => given === token,
  listen: { port: 0, host: '127.0.0.1' }
})
console.log(`ready ${server.server.address().port}`)
