// Started by local-services.test.ts as a program of its own: starts the services, says so, and waits to be ended.
import { startLocalServices } from '../../src/services/local-services.js';

const { databaseUrl, redisUrl } = await startLocalServices();
console.log(JSON.stringify({ databaseUrl, redisUrl }));
process.stdin.resume().on('end', () => process.exit(0));
