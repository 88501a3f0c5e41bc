// The health check of MongoDB in docker-compose.yml, run by mongosh on the server's own machine. The first time it
// makes the replica set and its users; from then on it says whether Sentinel could use it.

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

// Set while nobody has told the server who is in its set.
if (hello().isreplicaset) {
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongo:27017" }] });
}
if (!hello().isWritablePrimary) {
  print("it is not the primary yet");
  quit(1);
}

const pwd = secret("sentinel-password");
if (fails(() => admin.auth("sentinel", pwd))) {
  const root = secret("admin-password");
  // Who comes from the machine itself may make the first user without being one.
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
