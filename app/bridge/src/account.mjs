// Whose a key is, as Cursor says.
import { Cursor } from '@cursor/sdk';

const whole = (...parts) => parts.filter(Boolean).join(' ') || null;

/** The owner of `key`; rejects with the SDK's error if it is nobody's. A team's key has no owner. */
export async function owner(key) {
  const { apiKeyName, userEmail, userFirstName, userLastName } = await Cursor.me({ apiKey: key });
  return { email: userEmail ?? null, name: whole(userFirstName, userLastName), key_name: apiKeyName ?? null };
}
