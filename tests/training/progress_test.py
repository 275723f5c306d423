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

"""What is shown of a run, on a terminal and elsewhere."""

import io

import pytest

from nasfpn_tf.training import progress


class Terminal(io.StringIO):
  def isatty(self):
    return True


def loop_output(step, loss=0.5):
  return {'step': step, 'training_loss': loss, 'learning_rate': 0.01, 'images_per_second': 123.4}


def test_one_line_a_loop_without_a_terminal(monkeypatch):
  now = [100.0]
  monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
  stream = io.StringIO()
  train = progress.TrainProgress(100, start_step=20, stream=stream)
  for step in (40, 60, 80):
    now[0] += 30 if step == 40 else 10  # The first loop traces; it must not enter the estimate.
    train(loop_output(step))
  train.close()
  lines = stream.getvalue().splitlines()
  assert len(lines) == 3
  assert lines[0].endswith('left ?')
  assert lines[2] == 'train 80/100  loss 0.5000  lr 1.00e-02  123.4 images/s  left 10s'


def test_a_bar_on_a_terminal():
  stream = Terminal()
  train = progress.TrainProgress(100, stream=stream)
  train(loop_output(50, loss=0.25))
  train(loop_output(100, loss=0.125))
  train.close()
  shown = stream.getvalue()
  assert '100/100' in shown and 'loss 0.1250' in shown and '123.4 images/s' in shown and '\r' in shown


def test_evaluation_counts_images_and_shows_the_result():
  for stream in (io.StringIO(), Terminal()):
    evaluation = progress.EvalProgress(10, stream)
    for _ in range(2):
      evaluation.start()
      evaluation.update(6)
      evaluation.update(4)
      evaluation.finish({'AP': 0.4567, 'AP50': 0.7, 'AP75': 0.5, 'APs': -1.0}, step=30)
    assert stream.getvalue().count('eval at step 30  AP 0.457  AP50 0.700  AP75 0.500  (10 images in ') == 2
    assert ('evaluate:' in stream.getvalue()) == stream.isatty()


@pytest.mark.parametrize(
  'seconds, text', [(0.4, '0s'), (59.4, '59s'), (60, '1m00s'), (725, '12m05s'), (12000, '3h20m'), (float('inf'), '?')]
)
def test_duration(seconds, text):
  assert progress.duration(seconds) == text
