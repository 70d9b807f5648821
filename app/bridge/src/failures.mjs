// One vocabulary for what can go wrong, so that the other side needs to know nothing of the SDK's classes.
import { AuthenticationError, ConfigurationError, NetworkError, RateLimitError } from '@cursor/sdk';

// A run that fails says so only in its message: a Connect code in brackets, or a title of the backend's.
const PREFIXES = [
  [/^\[(unauthenticated|permission_denied)\]/, 'authentication', false],
  [/usage limit/i, 'rate_limit', false],
  [/^\[resource_exhausted\]|too many requests|rate limit|\bHTTP 429\b/i, 'rate_limit', true],
  [/^\[(invalid_argument|not_found|failed_precondition)\]/, 'request', false],
  [/^\[(unavailable|deadline_exceeded|aborted)\]|^\[unknown\] \[aborted\]/, 'unavailable', true],
  [/stream closed with error code NGHTTP2/i, 'unavailable', true],
  [/without turnEnded|connection stalled/i, 'unavailable', true],
];

/** A failure as sent over the socket. `kind` is one of authentication, rate_limit, request, unavailable,
 *  timeout, cancelled, guard, internal; `retryable` is a hint for before the first output only. */
export const failure = (kind, message, retryable = false) => ({ kind, message, retryable });

/** From the message of a run that ended with an error. */
export function fromMessage(message = 'the run failed without a reason') {
  for (const [pattern, kind, retryable] of PREFIXES) if (pattern.test(message)) return failure(kind, message, retryable);
  return failure('internal', message);
}

/** From anything the SDK throws. */
export function fromError(error) {
  const message = error?.message ?? String(error);
  if (error instanceof AuthenticationError || error?.status === 401) return failure('authentication', message);
  if (error instanceof RateLimitError || error?.status === 429) return failure('rate_limit', message, true);
  if (error instanceof ConfigurationError) return failure('request', message);
  if (error instanceof NetworkError) return failure('unavailable', message, true);
  return { ...fromMessage(message), ...(error?.isRetryable ? { retryable: true } : {}) };
}
