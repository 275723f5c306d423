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

_ROUNDS = 6
_MARGIN = 0.95  # Of the target: sizes come in steps, and the time of an image is not quite in proportion to its pixels.
_ENOUGH = 0.8  # Of the target: a size that takes this long is not worth another round.


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
    best, too_slow, seen = None, math.inf, set()
    for _ in range(_ROUNDS):
      model = params_for(limited).task.model
      size = tuple(model.input_size[:2])
      if size in seen:
        break  # No other size lies between what is fast enough and what is not, or this is the smallest.
      seen.add(size)
      pixels = math.prod(size)
      measured = latency.measure_ms(pretrained.without_pretrained_weights(model))
      fastest = min(fastest, measured)
      if measured <= target_ms:
        if best is None or pixels > math.prod(best[1]):
          best = limited, size, measured
        if measured >= _ENOUGH * target_ms or math.isinf(too_slow):
          break
      else:
        too_slow = min(too_slow, pixels)
      # In proportion to the pixels, but between the sizes that are known to be fast enough and too slow.
      wanted = _MARGIN * target_ms / measured * pixels
      at_least = math.prod(best[1]) if best else 0
      wanted = min(max(wanted, at_least), 0.95 * too_slow)
      limited = dataclasses.replace(limited, most_pixels=wanted)
    if best:
      limited, size, measured = best
      return limited, (
        f'Latency: {measured:.1f} ms at {size[0]} x {size[1]} (float .tflite on one core of this machine, without'
        f' NMS); the target is {target_ms:g} ms.'
      )
  raise ValueError(
    f'--target_latency_ms={target_ms:g} cannot be met: the fastest plan takes {fastest:.1f} ms an image here.'
  )
