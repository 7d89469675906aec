// mock-ipfs-pinning-service, on loopback only: its own command listens on every interface.
// usage: node mock_server.mjs TOKEN
// Prints "ready PORT". A pin's status follows its name (`pinned-…`, `failed-…`); all others stay queued.
import { setup } from 'mock-ipfs-pinning-service'

const [token] = process.argv.slice(2)
const app = await setup({ token })
const server = app.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`))
