import { type ConnectedConfig, loadConfig } from '../../src/config.js';
import { diagnose } from '../../src/doctor/doctor.js';
import type { Finding } from '../../src/doctor/finding.js';
import type { Place } from '../store/place.js';

export type DiagnosedPlace = Pick<Place, 'redis' | 'postgres'> & Partial<Pick<Place, 'schema' | 'queue'>>;

/** What the doctor finds in a place, by check. */
export async function diagnosis(
  { redis, postgres, schema = 'public', queue = 'nobody' }: DiagnosedPlace,
  settings: Partial<ConnectedConfig> = {},
  timeoutMs = 10_000,
): Promise<Record<string, Finding>> {
  const config = { ...loadConfig({}), redis, postgres, schema, queue, ...settings };
  const findings = await diagnose(config, timeoutMs);
  return Object.fromEntries(findings.map((finding) => [finding.check, finding]));
}
