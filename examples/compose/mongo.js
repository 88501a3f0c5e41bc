// Health check of MongoDB in docker-compose.yml, run by mongosh in the server's container. The first run initiates the
// replica set and creates its users. Every run checks that Sentinel can use the server.

const { readFileSync } = require("fs");
const secret = (name) => readFileSync(`/secrets/mongo/${name}`, "utf8").trim();
const admin = db.getSiblingDB("admin");
const hello = () => admin.runCommand({ hello: 1 });
const fails = (action) => {
  try {
    action();
    return false;
  } catch (error) {
    return true;
  }
};

// True until the replica set is initiated.
if (hello().isreplicaset) {
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongo:27017" }] });
}
if (!hello().isWritablePrimary) {
  print("the server is not the primary yet");
  quit(1);
}

const pwd = secret("sentinel-password");
if (fails(() => admin.auth("sentinel", pwd))) {
  const root = secret("admin-password");
  // Connections from localhost may create the first user without authentication ("localhost exception").
  if (fails(() => admin.auth("admin", root))) {
    admin.createUser({ user: "admin", pwd: root, roles: ["root"] });
    admin.auth("admin", root);
  }
  const rest = { pwd, roles: [{ role: "readWrite", db: "oauth" }] };
  if (admin.getUser("sentinel")) {
    admin.updateUser("sentinel", rest);
  } else {
    admin.createUser({ user: "sentinel", ...rest });
  }
}
