/** Finds out which resources an API has. */
import { type ApiClient, ApiError, isNotFound } from '../api-client.ts';

type Request = ApiClient['request'];

/** As {@link ApiClient.resourcesOf}. */
export async function findResources(
  request: Request,
  groupVersion: string,
  { timeoutMilliseconds }: { readonly timeoutMilliseconds?: number } = {},
): Promise<ReadonlySet<string>> {
  const [group = '', version] = groupVersion.split('/');
  const path = version === undefined ? `/api/${groupVersion}` : `/apis/${groupVersion}`;
  try {
    // Go writes an empty slice as null.
    const answer = await request<{ resources?: { name: string }[] | null } | null | undefined>({
      method: 'GET',
      path,
      timeoutMilliseconds,
    });
    return new Set((answer?.resources ?? []).map(({ name }) => name));
  } catch (error) {
    if (!isNotFound(error)) throw error;
    // The server behind an aggregated API may also answer 404 while it starts. The list of versions comes from the API server itself.
    if (version !== undefined && (await isVersionListed(request, group, groupVersion, timeoutMilliseconds))) {
      throw new ApiError(503, 'ServiceUnavailable', `GET ${path}: this API is registered, but its server does not serve it (404)`);
    }
    return new Set<string>();
  }
}

async function isVersionListed(
  request: Request,
  group: string,
  groupVersion: string,
  timeoutMilliseconds: number | undefined,
): Promise<boolean> {
  try {
    const path = `/apis/${group}`;
    const answer = await request<{ versions?: { groupVersion: string }[] | null } | null>({ method: 'GET', path, timeoutMilliseconds });
    return (answer?.versions ?? []).some((each) => each.groupVersion === groupVersion);
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
