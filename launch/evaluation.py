import os

from options import run_or_tell, stage_command, told_once

from bimed_dist.processes import end_with_launcher


@stage_command
def main(recipe, work, dry_run):
    """Fine-tune and measure every model on every task of RECIPE; run by plain python or `accelerate launch`."""
    if os.environ.get("RANK", "0") == "0":
        run_or_tell("evaluation", recipe, None, work, dry_run)
    elif not dry_run:
        from bimed_dist.evaluation.grid.launched import follow

        with told_once():
            follow()


if __name__ == "__main__":
    end_with_launcher()
    main()
