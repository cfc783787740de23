import { InvalidConfigError } from './errors.js';
import { nearest } from './nearest.js';
import { SETTINGS, type Setting } from './settings.js';

type Settings = typeof SETTINGS;
type Value<S> = S extends Setting<infer T> ? T : never;

/** The values of all settings, named as the options of the stores and of `CheckpointWriter`. */
export type Config = { readonly [Name in keyof Settings]: Value<Settings[Name]> };
/** A configuration with both services. */
export type ConnectedConfig = Config & { readonly redis: string; readonly postgres: string };

/** Read by `src/services`, not a setting of the product. */
const FOREIGN_VARIABLES = new Set(['CKPT_NO_INSTALL']);

/**
 * The environment as a frozen configuration. An empty variable counts as not set.
 * @throws InvalidConfigError that tells every problem at once and repeats no value
 */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const problems: { field: string; problem: string }[] = unknownVariables(env);
  const values: Record<string, unknown> = {};
  for (const [name, { env: variable, schema, default: fallback }] of Object.entries(SETTINGS)) {
    const text = env[variable];
    if (text === undefined || text === '') {
      values[name] = fallback;
      continue;
    }
    const parsed = schema.safeParse(text);
    if (parsed.success) values[name] = parsed.data;
    else problems.push({ field: variable, problem: parsed.error.issues[0]?.message ?? 'is not valid' });
  }
  const [first, ...others] = problems;
  if (first) {
    const more = others.map(({ field, problem }) => `; ${field} ${problem}`).join('');
    throw new InvalidConfigError(first.field, first.problem + more);
  }
  return Object.freeze(values) as Config;
}

/** @throws InvalidConfigError that says which variable is missing and what to do. */
export function withServices(config: Config): ConnectedConfig {
  return { ...config, postgres: required(config, 'postgres'), redis: required(config, 'redis') };
}

/** The URL of a service. @throws InvalidConfigError if it is not set */
export function required(config: Config, name: 'postgres' | 'redis'): string {
  const url = config[name];
  if (url !== undefined) return url;
  const { env, meaning } = SETTINGS[name];
  throw new InvalidConfigError(env, `is not set (${meaning}). To try without any services: ckpt demo`);
}

/**
 * A URL that may be shown: its password and every parameter that could hold one are replaced. By its text, for no parser knows URLs of
 * several hosts; rather too much than too little.
 */
export function redactUrl(text: string): string {
  return text
    .replace(/^([^:/?#]+:\/\/[^:/?#]*):[^/]*@/, '$1:***@')
    .replace(/([?&])([^=&#]*)=[^&#]*/g, (parameter, before, name) =>
      /pass|secret|token|key|%/i.test(name) ? `${before}${name}=***` : parameter,
    );
}

function unknownVariables(env: NodeJS.ProcessEnv): { field: string; problem: string }[] {
  const known = Object.values(SETTINGS).map((s) => s.env);
  return Object.keys(env)
    .filter((name) => name.startsWith('CKPT_') && !known.includes(name) && !FOREIGN_VARIABLES.has(name))
    .map((field) => ({ field, problem: `is not a setting; did you mean ${nearest(field, known)}?` }));
}
