import type { Telemetry } from 'bullmq';
import { InvalidConfigError } from '../src/errors.js';

const PACKAGE = 'bullmq-otel';
const TRACER_NAME = 'checkpoint-queue';

/** The part of `bullmq-otel` that is used. Its types would make everybody who compiles this install it. */
interface BullMqOtel {
  readonly BullMQOtel: new (options: { tracerName: string }) => Telemetry;
}

/**
 * OpenTelemetry for BullMQ. It finds the SDK that the process was started with (`NODE_OPTIONS=--import …`); without one it does nothing.
 * @throws InvalidConfigError if the package is not installed
 */
export async function loadTelemetry(load = () => import(PACKAGE)): Promise<Telemetry> {
  let loaded: BullMqOtel;
  try {
    loaded = (await load()) as BullMqOtel;
  } catch {
    throw new InvalidConfigError(
      'CKPT_OTEL',
      `needs packages that are not installed: npm install ${PACKAGE} @opentelemetry/api, and an OpenTelemetry SDK`,
    );
  }
  return new loaded.BullMQOtel({ tracerName: TRACER_NAME });
}
