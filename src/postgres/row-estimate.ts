import { literal } from './identifiers.js';

/**
 * SQL that estimates the rows of a table from PostgreSQL's statistics, so that asking costs nothing however large the table is. Null
 * where there are none yet.
 *
 * The cumulative statistics count each transaction, within about 10 s, and start from what VACUUM or ANALYZE has found. After a
 * crash they begin at zero: until one of these has run again, what the last one left in pg_class counts as well, scaled to the
 * table's size now as the planner does. Neither knows anything of a table before its first rows are reported.
 * @param table quoted
 */
export function rowEstimateSql(table: string): string {
  return `
    SELECT CASE
        WHEN pages = 0 THEN 0
        WHEN analysed THEN live
        WHEN relpages > 0 THEN greatest(live, (reltuples::float8 / relpages * pages)::bigint)
        WHEN live > 0 THEN live
      END AS rows
      FROM (
        SELECT c.reltuples, c.relpages, pg_relation_size(c.oid) / current_setting('block_size')::bigint AS pages,
            pg_stat_get_live_tuples(c.oid) AS live,
            coalesce(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid),
              pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) IS NOT NULL AS analysed
          FROM pg_class c WHERE c.oid = to_regclass(${literal(table)})) AS t`;
}
