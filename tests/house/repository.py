# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""What the rules of the house look at: the repository's files, their imports, their place."""

import ast
import dataclasses
import functools
import subprocess
from collections.abc import Iterator

from tests import testing

ROOT = testing.repo_root()

# Import name -> distribution: in requirements.txt, requirements_lock.txt or an extra of pyproject.toml, or one without
# which a test is skipped.
DISTRIBUTIONS = {
  'PIL': 'pillow',
  'cv2': 'opencv-python-headless',
  'absl': 'absl-py',
  'ai_edge_litert': 'ai-edge-litert',
  'faster_coco_eval': 'faster-coco-eval',
  'flatbuffers': 'flatbuffers',
  'google': 'protobuf',
  'google_crc32c': 'google-crc32c',
  'grpc': 'grpcio',
  'h5py': 'h5py',
  'keras_cv': 'keras-cv',
  'matplotlib': 'matplotlib',
  'mediapipe': 'mediapipe',
  'mmcv': 'mmcv-lite',
  'mmdet': 'mmdet',
  'mmengine': 'mmengine',
  'nbformat': 'nbformat',
  'numpy': 'numpy',
  'onnx': 'onnx',
  'onnxruntime': 'onnxruntime',
  'official': 'tf-models-official',
  'orbit': 'tf-models-official',
  'pycocotools': 'pycocotools',
  'pytest': 'pytest',
  'ray': 'ray',
  'scipy': 'scipy',
  'sklearn': 'scikit-learn',
  'tensorflow': 'tensorflow',
  'tensorflow_model_optimization': 'tensorflow-model-optimization',
  'tensorflow_serving': 'tensorflow-serving-api',
  'tf_keras': 'tf_keras',
  'threadpoolctl': 'threadpoolctl',
  'torch': 'torch',
  'tqdm': 'tqdm',
  'yaml': 'PyYAML',
}


@dataclasses.dataclass(frozen=True)
class Import:
  """One imported name.

  Attributes:
    name: dotted; `from a import b` gives 'a.b', whatever b is.
    line: where it stands.
    at_load: whether it runs when the module is loaded: not in a function, not under TYPE_CHECKING.
  """

  name: str
  line: int
  at_load: bool


@functools.cache
def files() -> tuple[str, ...]:
  """Paths, relative to the root, of all files that are part of the repository or about to be."""
  done = subprocess.run(
    ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True
  )
  if done.returncode == 0:
    found = {path for path in done.stdout.split('\0') if path and (ROOT / path).is_file()}
  else:  # An archive without its history: whatever lies here, but for hidden directories.
    relative = (path.relative_to(ROOT) for path in ROOT.rglob('*') if path.is_file())
    found = {path.as_posix() for path in relative if not any(part.startswith('.') for part in path.parts[:-1])}
  return tuple(sorted(found))


def python_files(*directories: str) -> list[str]:
  """Python files under the directories; without any, all."""
  prefixes = tuple(f'{directory}/' for directory in directories) or ('',)
  return [path for path in files() if path.endswith('.py') and path.startswith(prefixes)]


@functools.cache
def text(path: str) -> str:
  """Contents of a file of the repository."""
  return (ROOT / path).read_text(encoding='utf-8')


@functools.cache
def tree(path: str) -> ast.Module:
  """Syntax tree of a Python file."""
  return ast.parse(text(path), filename=path)


@functools.cache
def imports(path: str) -> tuple[Import, ...]:
  """All imports of a Python file, wherever they stand."""
  return tuple(_imports(tree(path), True))


def _imports(node: ast.AST, at_load: bool) -> Iterator[Import]:
  for child in ast.iter_child_nodes(node):
    if isinstance(child, ast.Import):
      yield from (Import(alias.name, alias.lineno, at_load) for alias in child.names)
    elif isinstance(child, ast.ImportFrom):
      module = '.' * child.level + (child.module or '')
      yield from (Import(f'{module}.{alias.name}', alias.lineno, at_load) for alias in child.names)
    else:
      deferred = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
      deferred |= isinstance(child, ast.If) and 'TYPE_CHECKING' in ast.dump(child.test)
      yield from _imports(child, at_load and not deferred)


def is_under(name: str, *packages: str) -> bool:
  """Whether the dotted name is one of the packages or inside one."""
  return any(name == package or name.startswith(package + '.') for package in packages)


def module_file(name: str) -> str | None:
  """The repository's file that a dotted name comes from: 'nasfpn_tf.zoo.load_detector' -> 'nasfpn_tf/zoo.py'."""
  parts = name.split('.')
  while parts:
    stem = '/'.join(parts)
    for path in (f'{stem}.py', f'{stem}/__init__.py'):
      if path in files():
        return path
    parts.pop()
  return None
