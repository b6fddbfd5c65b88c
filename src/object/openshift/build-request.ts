/**
 * Reads the images of a BuildRequest (build.openshift.io): it starts a build (`buildconfigs/instantiate`) or repeats one (`builds/clone`).
 *
 * Fields read: `triggeredByImage`, `from`. Each can replace the build's base image. The Build that is created from the request is evaluated
 * with all its images. If that Build is denied, the request fails with the denial: `oc start-build` prints it, and an image trigger makes it an
 * event of the BuildConfig (`BuildConfigTriggerFailed`). Warnings about the Build go to the API server, which is the client.
 *
 * No other field names an image: `dockerStrategyOptions.buildArgs` may change the image of a FROM, but is part of the Build.
 */
import type { JsonObject, Path } from '../json.ts';
import type { ShapeReading } from '../object-shape.ts';
import { malformedReference, readPulledLater } from './object-reference.ts';

const references: readonly Path[] = [['triggeredByImage'], ['from']];

export function readBuildRequest(object: JsonObject): ShapeReading {
  for (const path of references) {
    const problem = malformedReference(object, path);
    if (problem) return { kind: 'malformed', problem };
  }
  return { kind: 'shape', shape: { kind: 'naming', slots: references.flatMap((path) => readPulledLater(object, path) ?? []) } };
}
