// What has to be there before a gateway takes calls, under --require-sandbox: a host that can make sandboxes. Says what is missing, and never starts without.
import type { Capability } from '../protocol/server.ts';
import { type MissingSetting, missingSettings } from './keeper/sandbox/container.ts';

/** Of several lines, for a person who starts a container. */
export class RequirementError extends Error {}

/** Throws RequirementError when one of `required` is missing; in a container also when it is run by the host's root. */
export async function checkRequirement(
  capabilities: Readonly<Record<string, Capability>>,
  required: readonly string[],
  look = missingSettings,
): Promise<void> {
  const settings = (await look()) ?? [];
  const failed = required.map((name) => capabilities[name]).find((capability) => capability?.ok !== true);
  if (settings.length > 0) throw new RequirementError(containerText(settings, failed?.detail));
  if (failed !== undefined) {
    const remedy = failed.remedy === undefined ? '' : ` (${failed.remedy})`;
    throw new RequirementError(`it does not start, since no sandbox can be made here: ${failed.detail}${remedy}`);
  }
}

export function containerText(settings: readonly MissingSetting[], detail: string | undefined): string {
  const lines = settings.map(({ flag, compose, why }) =>
    flag === '' ? `  ${compose}   (${why})` : `  ${flag}\n      compose: ${compose}\n      ${why}`,
  );
  const needsProfile = settings.some(({ flag }) => flag.includes('seccomp='));
  return [
    `it does not start: the container lacks these settings${detail === undefined ? '' : ` (${detail})`}`,
    ...lines,
    'The docker-compose.yml of slotcast has all of them.',
    ...(needsProfile
      ? ['The profile is in the image: docker run --rm --entrypoint cat IMAGE deploy/seccomp-bwrap.json']
      : []),
  ].join('\n');
}
