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

"""Compares kinds of residual connection between stacked pyramids: same data, steps and seeds for each.

python -m benchmarks.residual_forms --train=records/bccd_train,records/bccd_val --validation=records/bccd_test \
  --necks=nas_fpn:3x64 --steps=800 --output_dir=runs/residual_forms

Trains each pyramid of --necks in each of --forms (`residual_training.FORMS`) with every seed, and evaluates each once,
at the last step. The multiply-adds of the forms are the same, and so are the parameters, but for one number a cell with
'cell, scalar'. A run that is done is not trained again, one that was stopped is continued: give the same command again.

Leaves OUTPUT_DIR/records.json, one entry a run, and OUTPUT_DIR/forms.md, mean and spread by form.
"""

import dataclasses
import json
import pathlib
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app, flags

from benchmarks import necks, residual_training
from nasfpn_tf import failure

FLAGS = flags.FLAGS


def markdown(records: Sequence[Mapping[str, Any]]) -> str:
  """Writes a table of mean, standard deviation and every seed's AP by pyramid and form."""
  lines = [
    '| pyramid | form | AP: mean | standard deviation | of each seed | AP50: mean |',
    '|---|---|---|---|---|---|',
  ]
  for neck, form in dict.fromkeys((record['neck'], record['form']) for record in records):
    runs = [record for record in records if (record['neck'], record['form']) == (neck, form)]
    values = [100 * record['AP'] for record in runs]
    spread = f'{statistics.stdev(values):.2f}' if len(values) > 1 else ''
    each = ', '.join(f'{value:.1f}' for value in values)
    fifty = statistics.mean(100 * record['AP50'] for record in runs)
    lines.append(f'| {neck} | {form} | {statistics.mean(values):.2f} | {spread} | {each} | {fifty:.2f} |')
  return '\n'.join([*lines, ''])


def compare(settings: necks.Settings, forms: Sequence[str]) -> list[dict[str, Any]]:
  """Trains and evaluates all runs; returns the records.

  Args:
    settings: what is trained, and on what.
    forms: of `residual_training.FORMS` or `LATER_RATES`.

  Raises:
    ValueError: a form does not exist.
  """
  known = [*residual_training.FORMS, *residual_training.LATER_RATES]
  unknown = [form for form in forms if form not in known]
  if unknown:
    raise ValueError(f'--forms: {unknown[0]!r} is none of {", ".join(known)}.')
  params, planned = necks.prepare(settings)
  output = pathlib.Path(settings.output_dir)
  records = []
  for seed in settings.seeds:
    for neck in planned:
      for form in forms:
        of_form = dataclasses.replace(
          settings,
          output_dir=str(output / re.sub(r'\W+', '_', form)),
          program=('-m', 'benchmarks.residual_training', form),
        )
        records.append({'form': form, **necks.run(neck, seed, params, of_form)})
        ordered = sorted(records, key=lambda record: ([n.label for n in planned].index(record['neck']), record['form']))
        (output / 'records.json').write_text('[\n' + ',\n'.join(map(json.dumps, ordered)) + '\n]\n')
        (output / 'forms.md').write_text(markdown(ordered))
  return records


def main(argv):
  del argv
  with failure.told('residual_forms'):
    compare(necks.settings_of_flags(), [form.strip() for form in FLAGS.forms])
  print((pathlib.Path(FLAGS.output_dir) / 'forms.md').read_text())


if __name__ == '__main__':
  necks.define_flags()
  flags.DEFINE_multi_string('forms', list(residual_training.FORMS), 'Forms to compare; may be given several times.')
  app.run(main)
