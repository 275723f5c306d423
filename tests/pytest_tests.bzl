"""Test files that pytest runs."""

load("@rules_python//python:defs.bzl", "py_test")

_RUNNER = "//tests:pytest_main.py"

def pytest_tests(name, srcs, deps, data = []):
    """Runs each file with pytest, with the settings of pyproject.toml.

    Args:
      name: name of a suite of all of them; each file's own target is named for the file.
      srcs: the test files.
      deps: what they import; among it the library that brings pytest and the runner, `//tests`.
      data: what they read.
    """
    tests = []
    for src in srcs:
        test = src[:-len(".py")]
        tests.append(test)
        py_test(
            name = test,
            srcs = [src, _RUNNER],
            main = _RUNNER,
            args = ["$(rootpath {})".format(src)],
            data = data + ["//:pyproject.toml"],
            deps = deps,
        )
    native.test_suite(
        name = name,
        tests = tests,
    )
