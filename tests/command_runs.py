"""Several command lines of a program in one process, since loading what it needs takes longer than they do.

    python tests/command_runs.py PROGRAM RUNS.json

RUNS.json holds a list of lists of arguments. What each run has ended with is written beside it, as RUNS.ends.json: the
sentence, or null. What the process has imported of MMSelfSup is the last line of the output.
"""

import gc
import json
import runpy
import sys
import traceback
from pathlib import Path
from typing import Optional


def run(program: str, arguments: list[str]) -> Optional[str]:
    """Run a program as the command line would; give what it ends with."""
    sys.argv = [program, *arguments]
    try:
        runpy.run_path(program, run_name='__main__')
    except SystemExit as end:
        return str(end.code)
    except BaseException:
        return traceback.format_exc()
    finally:
        gc.unfreeze()  # a command leaves what it has made to the end of the program
        gc.collect()
    return None


if __name__ == '__main__':
    name, runs = sys.argv[1], Path(sys.argv[2])
    sys.path[0] = str(Path(name).parent)  # as Python does for a program
    ends = [run(name, arguments) for arguments in json.loads(runs.read_text())]
    runs.with_suffix('.ends.json').write_text(json.dumps(ends))
    print('of MMSelfSup:', sorted({'mmselfsup', 'mmcls'} & set(sys.modules)), 'mmdet:', 'mmdet' in sys.modules)
