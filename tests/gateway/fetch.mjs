// Calls the route whose URL is the first argument, with Node's own fetch: a body, a stream, many calls at once, and an aborted call.
import assert from "node:assert/strict";

const base = process.argv[2];
const orders = (options) => fetch(`${base}/orders`, options);

const placed = await orders({ method: "POST", body: "a lamp" });
assert.deepEqual([placed.status, await placed.json()], [201, { received: 6 }]);

const followed = await fetch(`${base}/redirect`);
assert.deepEqual([followed.status, followed.url, followed.redirected], [200, `${base}/orders`, true]);

const stream = new ReadableStream({
  start(to) {
    for (const part of ["a ", "lamp"]) to.enqueue(new TextEncoder().encode(part));
    to.close();
  },
});
const streamed = await orders({ method: "POST", body: stream, duplex: "half" });
assert.deepEqual([streamed.status, await streamed.json()], [201, { received: 6 }]);

const many = await Promise.all(Array.from({ length: 100 }, () => orders()));
assert.ok(many.every((answer) => answer.ok), many.map((answer) => answer.status).join());

const gone = new AbortController();
const left = orders({ signal: gone.signal });
gone.abort();
await assert.rejects(left, { name: "AbortError" });
assert.ok((await orders()).ok);
