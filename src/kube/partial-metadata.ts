/**
 * The media type for the metadata of an object, or of each object in a list. The server answers 406 when the kind of a single object is
 * requested for a list, or the reverse. Plain JSON is not accepted as a fallback.
 */
export function partialMetadata(kind: 'PartialObjectMetadata' | 'PartialObjectMetadataList'): string {
  return `application/json;as=${kind};g=meta.k8s.io;v=v1`;
}
