"""Write every vector file of the contract: ``python tests/vectors/make.py``; ``--check`` only compares.

The files lie in ``ios_fixtures/vectors`` and are the one copy that the Python and the Swift tests run. Run this in the
commit that changes behaviour. ``tokenizer.json`` and ``device_machine.json`` have makers of their own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cases import (
    bins,
    canonicals,
    channels,
    choices,
    contracts,
    digests,
    duties,
    judgements,
    manifests,
    merges,
    names,
    outcomes,
    paths,
    problems,
    proofs,
    rollouts,
    targets,
    trusts,
)

FOLDER = Path(__file__).resolve().parents[2] / "ios_fixtures" / "vectors"
FILES = {
    "digests.json": digests.build,
    "canonical_json.json": canonicals.build,
    "tree_digest.json": digests.build_trees,
    "names.json": names.build,
    "paths.json": paths.build,
    "feature_contract.json": contracts.build,
    "manifest.json": manifests.build,
    "targets.json": targets.build,
    "judge.json": judgements.build,
    "rollout.json": rollouts.build,
    "channel.json": channels.build,
    "explain.json": choices.build,
    "proof.json": proofs.build,
    "outcome.json": outcomes.build,
    "problems.json": problems.build,
    "head_merge.json": merges.build,
    "device_duties.json": duties.build,
    "trust.json": trusts.build,
    "hash_bins.json": bins.build,
}


def main(arguments: list[str]) -> int:
    """Write or compare; 1 where ``--check`` finds a file that is not what the maker gives."""
    stale = []
    for name, build in FILES.items():
        text = json.dumps(build(), indent=1) + "\n"
        path = FOLDER / name
        if "--check" in arguments:
            if not path.exists() or path.read_text() != text:
                stale.append(name)
        else:
            path.write_text(text)
    for name in stale:
        print(f"{name} is not current: run python tests/vectors/make.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
