// Started by holding.fixture.ts: a program that ends by no signal that it can hear, with a process of its own that does neither.
import { spawn } from 'node:child_process';

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
process.stdout.on('error', () => {});
const own = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
console.log(JSON.stringify([process.pid, own.pid]));
setInterval(() => {}, 1000);
