"""Load a classic component spec with azure-ml-component and run it in its host mode.

usage: run_classic_spec.py SPEC WORKING_DIR, the inputs as JSON on stdin
"""

import json
import sys

from azure.ml.component._api._api import _definition_to_dto
from azure.ml.component._core._component_definition import ComponentDefinition
from azure.ml.component.component import Component

spec, working_dir = sys.argv[1:]
definition = ComponentDefinition.load(yaml_file=spec)
definition._module_dto = _definition_to_dto(definition)
node = Component._component_func_from_definition(definition)(**json.load(sys.stdin))
assert node._validate(is_local=True) == []
node.set_inputs(epochs=0)
sys.stdout.write(f"{node._validate(is_local=True)}\n")
node.set_inputs(epochs=1)
status = node.run(mode="host", track_run_history=False, working_dir=working_dir)
sys.exit("COMPLETED" not in str(status).upper())
