// A vendor whose token is a cookie that each response renews: parts of pouchdb-server with CouchDB's API, all in memory.
//
//     node server.js --dir DIR [--life SECONDS]
//
// Listens on 127.0.0.1 and a free port, without TLS. The files, commands and counts are those of serving.py. The login is
// POST /_session; calls go to /orders.
const crypto = require("crypto"), fs = require("fs"), path = require("path"), readline = require("readline");
const option = (name, otherwise) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? otherwise : process.argv[at + 1];
};
const directory = option("--dir"), life = Number(option("--life", "300"));
const user = JSON.parse(fs.readFileSync(path.join(directory, "user.json"), "utf8"));
const admin = crypto.randomBytes(16).toString("hex");

const PouchDB = require("pouchdb-core")
  .plugin(require("pouchdb-adapter-memory"))
  .plugin(require("pouchdb-replication"))
  .plugin(require("pouchdb-mapreduce"))
  .defaults({ adapter: "memory" });
const couch = require("express-pouchdb")({ inMemoryConfig: true, logPath: path.join(directory, "log.txt") });
const set = (section, key, value) => new Promise((done) => couch.couchConfig.set(section, key, value, done));

const counts = { logins: 0, refused: 0, calls: 0, rejected: 0 };
const app = require("express")();
app.use((request, response, next) => {
  const login = request.method === "POST" && request.path === "/_session";
  const call = request.path === "/orders" && !request.headers["x-control"];
  response.on("finish", () => {
    const good = response.statusCode < 300;
    if (login) counts[good ? "logins" : "refused"] += 1;
    if (call) counts[good ? "calls" : "rejected"] += 1;
  });
  next();
});
app.use(couch);

const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");

const server = app.listen(0, "127.0.0.1", async () => {
  const port = server.address().port;
  const ask = async (method, path, body) => {
    const headers = { "content-type": "application/json", "x-control": "1" };
    headers.authorization = "Basic " + Buffer.from("admin:" + admin).toString("base64");
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`);
    return answer.json();
  };
  const document = "/_users/" + encodeURIComponent("org.couchdb.user:" + user.username);
  const remove = async () => ask("DELETE", `${document}?rev=${(await ask("GET", document))._rev}`);
  const put = async (password, more = {}) =>
    ask("PUT", document, { _id: "org.couchdb.user:" + user.username, type: "user", name: user.username, roles: [], password, ...more });
  const orders = {
    deactivate: remove,
    // The user may exist already, and then is active.
    activate: () => ask("GET", document).catch(() => put(user.password)),
    password: async (order) => put(order.password, { _rev: (await ask("GET", document))._rev }),
    "revoke-all": () => set("couch_httpd_auth", "secret", crypto.randomBytes(16).toString("hex")),
    counts: async () => counts,
  };

  await set("couch_httpd_auth", "timeout", life);
  await set("admins", "admin", admin);
  await put(user.password);
  await ask("PUT", "/orders");
  await ask("PUT", "/orders/_security", { members: { names: [user.username] }, admins: {} });
  say({ port });
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", async (line) => {
    try {
      const order = JSON.parse(line);
      say({ ok: true, ...(order.do === "counts" ? counts : await orders[order.do](order) && {}) });
    } catch (error) {
      say({ error: error.name });
    }
  });
  lines.on("close", () => process.exit(0));
});
couch.setPouchDB(PouchDB);
