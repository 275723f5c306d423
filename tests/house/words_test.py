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

"""Words that no file of the project holds: leftovers, paths of one machine, unusual names of usual things."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house import repository

SUFFIXES = ('.py', '.md', '.sh', '.yaml', '.toml', '.txt', '.bzl', '.bazel', 'BUILD', '.ci/run', '.svg', '.json')
TEXTS = [path for path in repository.files() if path.endswith(SUFFIXES)]

# Put together here so that this file does not hold them itself.
LEFTOVERS = re.compile('|'.join([r'\bTO' + r'DO\b', r'\bFIX' + r'ME\b', r'\bX' + r'XX\b', 'NotImplemented' + 'Error']))
# A directory of one machine; a documented command uses a relative path or /path/to/...
MACHINE = re.compile(r'(?<![\w.$}>\])/*~-])/(?:work|farm|root|tmp|home|mnt|Users)/[A-Za-z]')


DOCUMENTS = [path for path in TEXTS if re.fullmatch(r'(docs/)?[^/]+\.md', path)]
# Word of a document -> what the field says instead. Code and `code` may use any word.
INSTEAD = {
  r'\bpictures?\b': 'image',
  r'(?<!non-maximum )\bsuppression\b': 'NMS (non-maximum suppression)',
  r'\b(?:quant|normal|serial|general)is(?:e|ed|es|ing|ation)\b': 'the same with z',
  r'\bnext to nothing\b': 'what is left out, in numbers',
  r'\bits luck\b': 'the standard deviation of several seeds',
  r'\bfrom same inputs to same answers\b': 'both give the same results on the same inputs',
  r'^#+ (?:Words|Where is what|Less memory|Your own|What ends\b.*|When something goes wrong)$': 'a usual heading',
}


# The same in docstrings, comments and messages, where the rules of the documents do not reach.
INSTEAD_IN_CODE = {
  r'\b(?:normal|serial|general|initial|synchron|quant)is(?:e|ed|es|ing|ation)\b': 'the same with z',
  r'\bnext to nothing\b': 'what is left out, in numbers',
  r'\bits (?:luck|last words)\b': 'plain words',
  r'\bfrom same inputs to same answers\b': 'both give the same results on the same inputs',
  r'\b(?:an? |the )(?:blank |letterboxed |input )?pictures?\b': 'image',
  r'\btold apart from nothing\b|\bspeaks? for (?:it|them)sel(?:f|ves)\b|\bwithout a word\b': 'plain words',
}
# Words that end in s and are no verbs.
NO_VERBS = re.compile(
  r'Anchors|Always|Axes|Batches|Boxes|Bytes|Categories|Checkpoints|Classes|Completions|Configurations|'
  r'Curves|Detections|Facts|Features|Functions|Images|Indices|Its|Jobs|Levels|Lines|Loss|Losses|Messages|'
  r'Milliseconds|Models|Multiply-adds|Numbers|Operations|Paths|Pictures|Predictions|Problems|Rows|'
  r'Strokes|Tensors|This|Trials|Tuples|Workers'
)


def found_in_lines(pattern: re.Pattern, paths: list[str] = TEXTS) -> list[str]:
  """'path:line: the line' wherever the pattern is found."""
  return [
    f'{path}:{number}: {line.strip()[:120]}'
    for path in paths
    for number, line in enumerate(repository.text(path).splitlines(), 1)
    if pattern.search(line)
  ]


def test_no_leftovers():
  found = found_in_lines(LEFTOVERS)
  assert not found, '\n'.join(['', *found])


def test_no_paths_of_one_machine():
  found = found_in_lines(MACHINE)
  assert not found, '\n'.join(['', *found])


def without_code(text: str) -> str:
  """A document with empty lines for its code blocks and without its code spans and the targets of its links."""
  text = re.sub(r'^ *```.*?^ *```', lambda block: '\n' * block[0].count('\n'), text, flags=re.DOTALL | re.MULTILINE)
  return re.sub(r'`[^`]+`|\]\([^)]*\)', '', text)


@pytest.mark.parametrize('path', DOCUMENTS)
def test_documents_use_the_words_of_the_field(path):
  problems = [
    f'{path}:{number}: {match[0]!r}: rather {better}'
    for number, line in enumerate(without_code(repository.text(path)).splitlines(), 1)
    for word, better in INSTEAD.items()
    for match in re.finditer(word, line, re.IGNORECASE)
  ]
  assert not problems, '\n'.join(['', *problems])


@pytest.mark.parametrize('path', [path for path in DOCUMENTS if path != 'docs/models.md'])  # That one is generated.
def test_documents_wrap_at_120_columns(path):
  lines = without_code(repository.text(path)).splitlines()
  long = [line for line in lines if len(line) > 120 and not line.startswith(('|', '!'))]
  assert not long, '\n'.join(['', *long])


@pytest.mark.parametrize('path', [path for path in DOCUMENTS if path.startswith('docs/')])
def test_pages_begin_with_their_purpose_and_a_command(path):
  title, *begin = repository.text(path).split('\n## ')[0].split('\n\n')
  assert title.startswith('# ')
  assert begin[0][0].isalpha() or begin[0][0] in '`*', 'the first paragraph says what the page is for'
  assert any(block.startswith('```bash\n') for block in begin[:3]), 'the command that most readers want comes second'


def functions(path: str) -> Iterator[ast.FunctionDef]:
  """Public functions and methods of a module, without properties, which are documented as the attributes they are."""

  def walk(node):
    for child in ast.iter_child_nodes(node):
      if isinstance(child, ast.ClassDef | ast.If | ast.Try):
        yield from walk(child)
      elif isinstance(child, ast.FunctionDef) and not re.match(r'_(?!_)', child.name):
        is_property = any('property' in ast.unparse(decorator) for decorator in child.decorator_list)
        yield from [] if is_property else [child]

  return walk(repository.tree(path))


def begins_with_a_verb(docstring: str) -> bool:
  """Whether the first word is a verb in the third person ("Returns"), or points to the base class ("See ...")."""
  word = re.split(r'[\s,.:;]', docstring, maxsplit=1)[0]
  return word == 'See' or (bool(re.fullmatch(r'[A-Z][a-z-]+[a-rt-z]s', word)) and not NO_VERBS.fullmatch(word))


@pytest.mark.parametrize('directory', ['nasfpn_tf', 'scripts', 'benchmarks'])
def test_docstrings_of_functions_begin_with_a_verb(directory):
  problems = [
    f'{path}:{function.lineno}: {function.name}: {docstring.splitlines()[0]}'
    for path in repository.python_files(directory)
    for function in functions(path)
    if (docstring := ast.get_docstring(function)) and not begins_with_a_verb(docstring)
  ]
  assert not problems, '\n'.join(['what does it do? e.g. "Returns ..."', *problems])


@pytest.mark.parametrize('directory', ['nasfpn_tf', 'scripts', 'benchmarks'])
def test_docstrings_of_modules_begin_with_a_verb(directory):
  problems = [
    f'{path}: {docstring.splitlines()[0]}'
    for path in repository.python_files(directory)
    # The package itself is introduced by what it is; published weights are named by their authors.
    if path != 'nasfpn_tf/__init__.py' and not path.startswith('nasfpn_tf/public_weights/')
    if (docstring := ast.get_docstring(repository.tree(path))) and not begins_with_a_verb(docstring)
  ]
  assert not problems, '\n'.join(['what does it do? e.g. "Builds ..."', *problems])


def prose_lines(path: str) -> Iterator[tuple[int, str]]:
  """(number, text) of the lines of a Python file with a comment, or with a string of several words."""
  lines = repository.text(path).splitlines()
  strings = [
    node
    for node in ast.walk(repository.tree(path))
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(' ') >= 2
  ]
  numbers = {number for node in strings for number in range(node.lineno, node.end_lineno + 1)}
  for number, line in enumerate(lines, 1):
    if number in numbers or '# ' in line:
      yield number, re.sub(r'`[^`]+`', '', line)


def test_code_uses_the_words_of_the_field():
  problems = [
    f'{path}:{number}: {match[0]!r}: rather {better}'
    for path in repository.python_files('nasfpn_tf', 'scripts', 'benchmarks')
    for number, line in prose_lines(path)
    for word, better in INSTEAD_IN_CODE.items()
    for match in re.finditer(word, line, re.IGNORECASE)
  ]
  assert not problems, '\n'.join(['', *problems])


def test_the_patterns_find_what_they_are_for():
  assert begins_with_a_verb('Returns the level.') and begins_with_a_verb('See base class.')
  assert not any(map(begins_with_a_verb, ['The level.', 'Boxes of a batch.', 'Loss.', '[n, 4] boxes', 'What it does.']))
  assert LEFTOVERS.search('# TO' + 'DO(me): later')
  assert MACHINE.search('--model_dir=/tm' + 'p/run')
  assert MACHINE.search("open('/ho" + "me/me/x')")
  assert not MACHINE.search('see ../shared/work/notes and https://example.org/home/page')


def test_no_large_files():
  # A detector that users load by its name, and what training starts from where nothing can be downloaded.
  intended = {'nasfpn_tf/pretrained/blood_cells.tflite', 'nasfpn_tf/pretrained/blood_cells_backbone.npz'}
  large = {str(path) for path in repository.files() if (repository.ROOT / path).stat().st_size > 2**20} - intended
  assert not large, 'files above 1 MiB do not belong into the repository'
