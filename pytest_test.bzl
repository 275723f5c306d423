"""A test file that pytest runs."""

load("@rules_python//python:defs.bzl", "py_test")

def pytest_test(name, srcs, **kwargs):
    """Runs one test file with pytest, with the settings of pyproject.toml.

    Args:
      name: name of the target.
      srcs: the test file.
      **kwargs: passed on to py_test; `//:tests` must be among the deps, it brings pytest.
    """
    runner = "tests/pytest_main.py"
    py_test(
        name = name,
        srcs = srcs + [runner],
        main = runner,
        args = ["$(rootpath {})".format(srcs[0])],
        data = kwargs.pop("data", []) + ["pyproject.toml"],
        **kwargs
    )
