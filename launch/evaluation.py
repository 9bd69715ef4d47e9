"""Fine-tune and score every model on every task of RECIPE.

Plain Python uses all GPUs or cores of this machine; `accelerate launch` also uses several machines.
"""

from options import is_first_rank, reported_once, run_or_preview, stage_command

from bimed_dist.processes import end_with_launcher


@stage_command(__doc__, "python launch/evaluation.py launch/recipes/demo.yaml --work work/demo")
def main(recipe, work, dry_run):
    if is_first_rank():
        run_or_preview("evaluation", recipe, None, work, dry_run)
    elif not dry_run:
        from bimed_dist.evaluation.grid.launched import follow_rank_0

        with reported_once():
            follow_rank_0()


if __name__ == "__main__":
    end_with_launcher()
    main()
