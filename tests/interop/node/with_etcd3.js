// etcd3: Node's grpc-js. Prints what it saw (see tests/interop/test_clients.py).
const { Etcd3 } = require("etcd3");

async function keys(client) {
  await client.put("k1").value("1");
  await client.put("k2").value("2");
  return {
    get: await client.get("k1").string(),
    "get of nothing": await client.get("nothing").string(),
    prefix: Object.values(await client.getAll().prefix("k").strings()),
    deleted: Number((await client.delete().prefix("k")).deleted),
  };
}

async function txn(client) {
  await client.put("t").value("old");
  const outcomes = [];
  for (let round = 0; round < 2; round++) {
    const answer = await client
      .if("t", "Value", "==", "old")
      .then(client.put("t").value("new"))
      .else(client.get("t"))
      .commit();
    const range = answer.responses[0].response_range;
    outcomes.push([answer.succeeded, range ? range.kvs[0].value.toString() : null]);
  }
  return { txn: outcomes };
}

async function watch(client) {
  const watcher = await client.watch().key("w").create();
  const seen = [];
  const complete = new Promise((resolve) => {
    const note = (kind) => (kv) => {
      seen.push([kind, kv.value.toString()]);
      if (seen.length === 3) resolve();
    };
    watcher.on("put", note("PUT"));
    watcher.on("delete", note("DELETE"));
  });
  await client.put("w").value("1");
  await client.put("w").value("2");
  await client.delete().key("w");
  await complete;
  await watcher.cancel();
  return { watch: seen };
}

async function lease(client) {
  const lease = client.lease(60);
  await lease.put("l").value("1");
  const info = await client.leaseClient.leaseTimeToLive({ ID: await lease.grant(), keys: true });
  await lease.keepaliveOnce();
  await lease.revoke();
  const attached = info.keys.map((key) => key.toString());
  return { lease: [Number(info.grantedTTL), attached, await client.get("l").string()] };
}

async function lock(client) {
  const first = client.lock("lock");
  const second = client.lock("lock");
  const acquire = (one) => one.acquire().then(() => true, () => false);
  const held = [await acquire(first), await acquire(second)];
  await first.release();
  held.push(await acquire(second));
  await second.release();
  return { lock: held };
}

async function election(client) {
  const contest = client.election("election");
  const campaign = contest.campaign("me");
  await new Promise((resolve, reject) => {
    campaign.on("elected", resolve);
    campaign.on("error", reject);
  });
  const leader = await contest.leader();
  await campaign.resign();
  return { election: leader };
}

async function main(port) {
  const client = new Etcd3({ hosts: `http://127.0.0.1:${port}` });
  const saw = {};
  for (const part of [keys, txn, watch, lease, lock, election]) {
    Object.assign(saw, await part(client));
  }
  client.close();
  console.log(JSON.stringify(saw));
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
