/**
 * Lua: `queue_depth(first)`: how many jobs are not done, where `KEYS[first]` and those behind it are `QueueKeys.undone`. All of them take
 * memory in Redis: those that wait, also in a paused queue; those in the hands of a worker; those put off because they are for another
 * worker; those that somebody gave a priority.
 */
export const QUEUE_DEPTH = `
  local function queue_depth(first)
    local depth = 0
    for i = first, first + 2 do depth = depth + redis.call('LLEN', KEYS[i]) end
    for i = first + 3, first + 4 do depth = depth + redis.call('ZCARD', KEYS[i]) end
    return depth
  end`;
