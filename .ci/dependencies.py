"""Checks every dependency against deny.toml: its licence, its source, its version requirement.

`cargo deny` checks the same file more thoroughly; building it takes longer than everything else
in .ci/run, so this reads the lists that both share. Licence expressions are parsed by the
license-expression package.
"""

import json
import subprocess
import sys
import tomllib

from license_expression import get_spdx_licensing


def is_allowed(expression, allowed):
    """Whether some choice that the expression leaves consists of allowed licences alone."""
    operator = getattr(expression, "operator", None)
    if operator is None:
        return str(expression) in allowed
    answers = [is_allowed(part, allowed) for part in expression.args]
    return all(answers) if operator.strip() == "AND" else any(answers)


def main():
    with open("deny.toml", "rb") as file:
        allowed = set(tomllib.load(file)["licenses"]["allow"])
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    packages = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["packages"]
    licensing, wrong = get_spdx_licensing(), []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        # Before SPDX, a slash meant OR.
        text = (package["license"] or "").replace("/", " OR ")
        if not text or not is_allowed(licensing.parse(text), allowed):
            wrong.append(f"{name}: licence {text or 'not stated'} is not among those of deny.toml")
        source = package["source"]
        if source is not None and "crates.io-index" not in source:
            wrong.append(f"{name}: source {source} is not crates.io")
        if source is None:
            for dependency in package["dependencies"]:
                if dependency["req"] == "*" and dependency.get("path") is None:
                    wrong.append(f"{name}: {dependency['name']} has no version requirement")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(packages)} packages have allowed licences and come from crates.io")


main()
