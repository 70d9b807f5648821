// All runs of this process, whoever asks for them.
import * as agents from './agents.mjs';
import { failure } from './failures.mjs';
import * as guard from './guard.mjs';
import { Run } from './run.mjs';

const MOST_PARKED = 64;

const active = new Set();
const parked = new Map(); // the id of a call: the suspended run that waits for its result; oldest first

/** Answer `request` through `outlet`: by the suspended run that its results belong to, or by a new one. Gives a
 *  function that cancels, harmless when all is said. */
export function start(request, outlet) {
  const run = continued(request, outlet) ?? begun(request, outlet);
  return () => {
    outlet.close();
    if (run.serves(outlet)) run.stop(failure('cancelled', 'the run was cancelled'));
  };
}

function continued(request, outlet) {
  const ids = request.turns.flatMap(({ call_id, calls = [] }) => [call_id, ...calls.map(({ id }) => id)]);
  const found = ids.map((id) => parked.get(id)).find((run) => run?.belongsTo(request.key));
  if (!found) return null;
  if (found.resume(request, outlet)) return found;
  found.stop(failure('cancelled', 'the client went on without it'));
  return null;
}

function begun(request, outlet) {
  const run = new Run(parked, request, outlet);
  active.add(run);
  run.go().finally(() => active.delete(run));
  while (suspended().size > MOST_PARKED) [...suspended()][0].stop(failure('cancelled', 'too many suspended runs'));
  return run;
}

const suspended = () => new Set(parked.values());

export function status() {
  const waiting = suspended().size;
  return { running: active.size - waiting, parked: waiting, ...agents.counts(), refusals: guard.refusals() };
}
