// Why a sandbox did not start, in words for a client and with what the operator can do. Never tells a host path.
import type { SlotPlace } from '../keeper.ts';
import { type Policy, SHOWN } from './policy.ts';

export interface Reason {
  readonly reason: string;
  readonly remedy: string;
}

const CASES: readonly { readonly when: RegExp; readonly remedy: string }[] = [
  {
    when: /bwrap: (?:No such file|command not found|not found)|(?:execute|spawn) bwrap|bwrap.*ENOENT/i,
    remedy: 'Install the package bubblewrap (0.8 or newer).',
  },
  { when: /(?:spawn|execute) prlimit|prlimit: not found/i, remedy: 'Install the package util-linux (prlimit).' },
  { when: /execvp .*perl/i, remedy: 'Install the package perl-base.' },
  { when: /execvp .*prlimit/i, remedy: 'Install the package util-linux (prlimit).' },
  { when: /Unknown option/i, remedy: 'Install bubblewrap 0.8 or newer.' },
  { when: /seccomp/i, remedy: 'The kernel must allow seccomp filters (CONFIG_SECCOMP_FILTER).' },
  {
    when: /uid map|loopback|RTM_NEWADDR/i,
    remedy:
      'On Ubuntu 23.10 or newer set kernel.apparmor_restrict_unprivileged_userns=0 or add an AppArmor profile with "userns,".',
  },
  {
    when: /mount proc|\/newroot\/proc/i,
    remedy: 'In a container unmask /proc: security_opt systempaths=unconfined (Docker) or unmask=ALL (podman).',
  },
  {
    when: /namespace|No permissions|Operation not permitted|clone|max_user_namespaces|userns/i,
    remedy:
      'Allow user namespaces: kernel.unprivileged_userns_clone=1 and user.max_user_namespaces above 0; on Ubuntu 23.10 or newer kernel.apparmor_restrict_unprivileged_userns=0; in a container a seccomp profile that allows unshare, clone, mount, umount2 and pivot_root.',
  },
  {
    when: /Permission denied|find source path/i,
    remedy:
      "The slot's user must be able to reach the data directory and every --mount: check the modes of their parents.",
  },
];

/** `text` is what bwrap and its wrappers said on stderr. */
export function explain(text: string, hidden: Readonly<Record<string, string>> = {}): Reason {
  const said = withoutHostPaths(text.trim(), hidden).split('\n').slice(-3).join(' ').slice(0, 500).replace(/\.+$/, '');
  const remedy = CASES.find(({ when }) => when.test(text))?.remedy ?? 'Run slotcast doctor on the host.';
  return { reason: said || 'bwrap ended without a word', remedy };
}

/** Host paths by the name under which the payload sees them. */
export function hiddenPaths(policy: Policy, place: SlotPlace): Record<string, string> {
  const mounts = policy.mounts.map(({ source, target }): [string, string] => [source, target]);
  const own: [string, string][] = [
    [place.workspace, SHOWN.workspace],
    [place.tmp, SHOWN.tmp],
    [place.spool, SHOWN.spool],
  ];
  return Object.fromEntries([...own, ...mounts]);
}

function withoutHostPaths(text: string, hidden: Readonly<Record<string, string>>): string {
  const longestFirst = Object.entries(hidden).sort(([a], [b]) => b.length - a.length);
  const renamed = longestFirst.reduce((rest, [path, shown]) => rest.replaceAll(path, shown), text);
  return renamed
    .replaceAll('/oldroot', '')
    .replaceAll('/newroot', '')
    .replace(/\/[^\s:'"]+/g, (path) =>
      /^\/(?:usr|bin|etc|proc|sys|dev|tmp|run|workspace)\b/.test(path) ? path : '(a host path)',
    );
}
