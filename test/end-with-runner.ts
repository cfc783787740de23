// Loaded before each test file. A vitest that is killed leaves the processes of its test files running, and with them all that they have
// started: they end themselves when they lose it. By a signal, for vitest takes `process.exit` for an error of the test.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
