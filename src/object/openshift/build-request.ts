/**
 * BuildRequest of build.openshift.io: what starts a build (`buildconfigs/instantiate`) or repeats one (`builds/clone`).
 *
 * Fields read: `triggeredByImage`, `from`. Each can stand in for the build's base image; the Build that is made of the request is judged
 * with all its images when it is created, but by then the API server itself asks, and no person reads the answer.
 *
 * Nothing else of it names an image: `dockerStrategyOptions.buildArgs` may decide what a FROM means, and is part of the Build.
 */
import type { JsonObject, Path } from '../json.ts';
import type { ShapeReading } from '../object-shape.ts';
import { malformedReference, readReference } from './object-reference.ts';

const references: readonly Path[] = [['triggeredByImage'], ['from']];

export function readBuildRequest(object: JsonObject): ShapeReading {
  for (const path of references) {
    const problem = malformedReference(object, path);
    if (problem) return { kind: 'malformed', problem };
  }
  return { kind: 'shape', shape: { kind: 'naming', slots: references.flatMap((path) => readReference(object, path, 'pull') ?? []) } };
}
