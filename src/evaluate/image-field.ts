/** Recognizes the names of fields that usually contain an image. */

/** `baseImage`, `image_name`; also of a path in a field name, such as `image.tag`, as charts have them. */
export function isImageFieldName(name: string): boolean {
  if (isImageName(name)) return true;
  if (!/^[\w-]+(?:\.[\w-]+)+$/.test(name)) return false;
  const fields = name.split('.');
  return !isPullOption(fields.at(-1) ?? '') && fields.some(isImageName);
}

function isImageName(field: string): boolean {
  return imageFields.some((pattern) => pattern.test(field));
}

const imageFields: readonly RegExp[] = [
  // Not `managedBootImages` of OpenShift, which are disks, and not `matchImages` of the kubelet's credential providers, which are patterns.
  /(?<!boot|match)images?$/i,
  // Not `imagePullPolicy` and `imagePullSecrets`.
  /^image[-_]?(?:name|ref|reference|repo|repository|registry|url|uri|tag|digest|version)s?$/i,
];

/** Before the name of an image in a text, as in `oci://quay.io/app`. */
export const imageScheme = /^(oci|docker|docker-image|oci-image):\/\//;

/** `pullPolicy` and `pullSecrets` next to the name of an image. */
export function isPullOption(field: string | number): boolean {
  return typeof field === 'string' && /^(?:image)?pull(?:policy|secrets?)$/i.test(field);
}

/** The path of a JSON patch, such as `/spec/template/spec/containers/0/image`. */
export function isPatchOfImage(pointer: string): boolean {
  return /\/(?:c|initC|ephemeralC)ontainers\/(?:\d+|-)\/image$/.test(pointer);
}
