import type { DashboardServer, DashboardServerConfig } from '../../../src/dashboard/server.js';
import type { Place } from '../../store/place.js';
import { serveDashboard } from '../serving.js';

/** Serves a dashboard of the place with its page; closed with the test. */
export async function servePage(
  place: Place,
  options: Partial<DashboardServerConfig> = {},
): Promise<DashboardServer> {
  const { server } = await serveDashboard(place, { pageFolder: undefined, ...options });
  return server;
}
