import { DatabaseError } from '../errors.js';
import { classifyFailure } from '../postgres/sqlstate.js';

/** Runs the work; where the tables are missing, creates them and runs it again. */
export async function creatingMissingTables<T>(
  work: () => Promise<T>,
  create: () => Promise<void>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DatabaseError) || classifyFailure(error) !== 'missing-schema') throw error;
    await create();
    return work();
  }
}
