import { startLocalServices } from '../../src/services/local-services.js';
import { check } from './check.js';
import { startProducers, World } from './world.js';

const s = await startLocalServices({ onProgress: console.error });
const p = startProducers();
const w = await World.open(s, p);
const t = Date.now();
let n = 0;
console.log(
  await check(w, {
    runs: Number(process.argv[2] ?? 100),
    seed: process.argv[3] ? Number(process.argv[3]) : undefined,
    path: process.argv[4],
    onRun: () => {
      n++;
    },
  }),
);
console.log(n, Date.now() - t);
await w.close();
await Promise.all(p.map((x) => x.close()));
await s.stop();
