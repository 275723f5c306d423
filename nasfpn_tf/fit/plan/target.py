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

"""Makes a plan fast enough for a target: a smaller input, and in the end fewer pyramids."""

import dataclasses
import math
from collections.abc import Callable

from official.core import config_definitions as cfg

from nasfpn_tf.fit.plan import rules
from nasfpn_tf.modeling import latency
from nasfpn_tf.modeling.weights import pretrained

_ROUNDS = 4
_MARGIN = 0.95  # Of the target: sizes come in steps, and the time of an image is not quite in proportion to its pixels.


def meet(
  target_ms: float, budget: rules.Budget, params_for: Callable[[rules.Budget], cfg.ExperimentConfig]
) -> tuple[rules.Budget, str]:
  """Limits a budget until the detector that is planned with it is as fast as asked.

  The time is the median of the network as a float .tflite on one core of this machine, without NMS; weights do not
  matter to it, and int8 is faster. The time goes with the pixels, so each round takes the size that should do.

  Args:
    target_ms: milliseconds an image.
    budget: of the training.
    params_for: plans with a budget.

  Returns:
    The budget with its limits, and a sentence for the plan.

  Raises:
    ValueError: the smallest input with a single pyramid is slower.
  """
  fastest = math.inf
  for repeats in (None, 1):
    limited = dataclasses.replace(budget, most_repeats=repeats)
    for _ in range(_ROUNDS):
      model = params_for(limited).task.model
      size = tuple(model.input_size[:2])
      measured = latency.measure_ms(pretrained.without_pretrained_weights(model))
      fastest = min(fastest, measured)
      if measured <= target_ms:
        return limited, (
          f'Latency: {measured:.1f} ms at {size[0]} x {size[1]} (float .tflite on one core of this machine, without'
          f' NMS); the target is {target_ms:g} ms.'
        )
      smaller = min(_MARGIN * target_ms / measured, 0.9) * math.prod(size)
      limited = dataclasses.replace(limited, most_pixels=smaller)
      if tuple(params_for(limited).task.model.input_size[:2]) == size:
        break  # The smallest there is.
  raise ValueError(
    f'--target_latency_ms={target_ms:g} cannot be met: the fastest plan takes {fastest:.1f} ms an image here.'
  )
