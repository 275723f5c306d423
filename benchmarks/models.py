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

"""Writes docs/models.md: published figures of the models in configs/ beside those of the models built here.

python -m benchmarks.models                                              # print it
python -m benchmarks.models --output=docs/models.md                      # write it
python -m benchmarks.models --rebuild --output=docs/models.md            # after a change of a configuration
"""

import sys
from collections.abc import Sequence

from absl import app, flags

from benchmarks import model_figures, model_table
from nasfpn_tf import failure

FLAGS = flags.FLAGS
flags.DEFINE_string('output', None, 'Markdown file to write; unset: print.')
flags.DEFINE_string('figures', 'docs/models.json', 'Figures of the built models, read and, with --rebuild, written.')
flags.DEFINE_bool('rebuild', False, 'Build and measure the models whose architecture has changed.')
flags.DEFINE_bool('rebuild_all', False, 'Build and measure every model, which takes some minutes.')


def main(argv: Sequence[str]) -> None:
  with failure.told('models'):
    if len(argv) > 1:
      raise ValueError(f'unexpected argument {argv[1]!r}; flags begin with --.')
    text = _document()
    if FLAGS.output:
      with open(FLAGS.output, 'w', encoding='utf-8') as file:
        file.write(text)
    else:
      print(text, end='')


def _document() -> str:
  published = model_table.published()
  models = {name: model_figures.model_config(name) for name in published}
  digests = {name: model_figures.digest(model) for name, model in models.items()}
  measured = model_figures.load(FLAGS.figures)
  stale = model_table.drift(published, measured, digests)
  if FLAGS.rebuild or FLAGS.rebuild_all:
    measured = {name: entry for name, entry in measured.items() if name not in stale}
    for name in [name for name in published if FLAGS.rebuild_all or name not in measured]:
      print(f'building {name}', file=sys.stderr)
      measured[name] = model_figures.measure(models[name])
    model_figures.save(FLAGS.figures, measured)
  elif stale:
    raise ValueError(f'{FLAGS.figures} does not fit configs/ for {", ".join(stale)}: --rebuild measures them.')
  return model_table.markdown(published, measured)


if __name__ == '__main__':
  app.run(main)
