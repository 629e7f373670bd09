"""Shows that the tests bite: changes the code for the worse, one line at a time.

    python tests/system/mutations.py [-j JOBS] [NAME …]      # make mutations: all of them

Each mutation is made in a copy of the repository, where one of the few tests beside it must fail.
Before that all of these tests must pass in a copy without any. Prints a line for each mutation;
exits with 1 if one survives, if its pattern is not in the code any more, or if its tests do not
run. `test_mutations.py` keeps the list in step with the code.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COMPILED = Path(".pytest_cache") / "compiled"  # as in conftest; all copies share that of ROOT
LIMIT = 600  # seconds; a change that hangs its tests is noticed too


class Mutation(NamedTuple):
    """`old`, which the file holds once, becomes `new`; `tests` are those that notice, by file."""

    path: str  # in hop, or reproduce/FILE
    old: str
    new: str
    tests: str

    def file(self, root: Path) -> Path:
        """The file that it changes, in a copy of the repository."""
        return root / ("" if self.path.startswith("reproduce/") else "hop") / self.path


# fmt: off
MUTATIONS = {
    # Problems.
    "the source of steady Burgers twice": Mutation(
        "problems/burgers_steady.py", "(math.pi / 2) * jnp.sin", "math.pi * jnp.sin",
        "problems::test_inviscid_burgers_states_are_exact"),
    "ε for ε² in Allen–Cahn": Mutation(
        "problems/allen_cahn_1d.py", 'lam.eps**2 * u["xx"]', 'lam.eps * u["xx"]',
        "problems::test_allen_cahn_front_is_exact_on_the_line"),
    "no diffusion in y": Mutation(
        "problems/allen_cahn_2d.py", 'u["xx"] + u["yy"]', 'u["xx"]',
        "allen_cahn_2d::test_a_straight_front_is_a_steady_state"),
    "the sign of advection in time": Mutation(
        "problems/burgers_time.py", '+ u[""] * u["x"]', '- u[""] * u["x"]',
        "burgers_time::test_the_residual_of_an_exact_wave_is_zero"),
    "boundary data that do not move with ε": Mutation(
        "problems/helmholtz.py", "jnp.sin(sums / (self.dim * lam.eps))",
        "jnp.sin(sums / self.dim)",
        "problems::test_conditions_move_with_eps_under_jit"),
    "another wave to fit": Mutation(
        "problems/high_frequency.py", "jnp.sin(math.pi * x", "jnp.cos(math.pi * x",
        "problems::test_high_frequency_fit"),
    # Networks and the ansatz.
    "another law of the first weights": Mutation(
        "networks/__init__.py", "nn.initializers.xavier_normal()", "nn.initializers.lecun_normal()",
        "networks::test_xavier_normal_kernels_and_zero_biases"),
    "a circle of another length": Mutation(
        "ansatz.py", "np.pi * np.arange(1, self.harm", "np.arange(1, self.harm",
        "burgers_time::test_the_ansatz_starts_at_its_input_and_is_periodic"),
    "a DeepONet without its bias": Mutation(
        "networks/deeponet.py", 'else u + params["bias"]', 'else u + 0 * params["bias"]',
        "networks::test_deeponet_is_the_sum_over_branch_and_trunk"),
    "a decoder blind to the input function": Mutation(
        "networks/__init__.py", "seen.append({k: v[", "seen.append({k: 0 * v[",
        "burgers_time::test_the_decoder_is_its_formula"),
    "sines of another period": Mutation(
        "networks/mlp.py", "jnp.sin(math.pi * points", "jnp.sin(points",
        "allen_cahn_2d::test_an_odd_network_of_sines_needs_no_lift"),
    "input functions in other units": Mutation(
        "ansatz.py", "laws[name].normalise(given.values)", "given.values",
        "ansatz::test_a_network_sees_input_functions_in_units_of_their_law"),
    "twice the odd part": Mutation(
        "ansatz.py", "total / len(images)", "total",
        "ansatz::test_an_odd_ansatz_is_odd_to_the_last_bit"),
    # Derivatives.
    "Taylor's series without factorials": Mutation(
        "derivatives.py", "math.factorial(label.count(c))", "1",
        "derivatives::test_push_is_the_jet_of_the_composition"),
    "second derivatives scaled once": Mutation(
        "derivatives.py", "for c in label)\n\n", "for c in set(label))\n\n",
        "derivatives::test_rescale_is_the_chain_rule"),
    "the sign of f′ ΔF": Mutation(
        "derivatives.py", "* squared + slope *", "* squared - slope *",
        "ansatz::test_laplacian_is_the_trace_of_the_hessian"),
    "a curve that bends the other way": Mutation(
        "curves.py", "+ self.rate[0] * h**order", "- self.rate[0] * h**order",
        "curves::test_a_residual_along_a_curve_is_that_along_the_axes"),
    "curves in an input that stay lines": Mutation(
        "curves.py", "both = jet[self.label] + self.rate * jet[self.letter]",
        "both = jet[self.label]",
        "curves::test_a_residual_along_a_curve_is_that_along_the_axes"),
    "a factor that may vanish": Mutation(
        "curves.py", "and high.not_zero ", "",
        "curves::test_what_a_residual_must_be"),
    "an equation that is bent by what has no slope": Mutation(
        "curves.py", "if name in _AFFINE else 2", "",
        "curves::test_what_a_residual_must_be"),
    "a product of one degree": Mutation(
        "curves.py", "degree = sum(given)", "degree = max(given)",
        "curves::test_what_a_residual_must_be"),
    "two jets where one serves": Mutation(
        "homotopy/loss.py", "any(term.jets for term in self.terms)", "False",
        "curves::test_the_network_is_asked_for_less_unless_a_term_reads_the_jet"),
    # Domain, laws, datasets.
    "stratified points that are uniform ones": Mutation(
        "samplers/stratified.py", "(slabs.astype(unit.dtype) + unit) / count", "unit",
        "samplers::test_stratified_points_have_a_slab_each_along_every_axis"),
    "whole weights at the ends of the trapezoidal rule": Mutation(
        "domain.py", "ends[[0, -1]] = 0.5", "ends[[0, -1]] = 1",
        "domain::test_box"),
    "τ⁴ for τ² in the spectrum": Mutation(
        "laws/gaussian_field.py", "squares + self.shift)", "squares + self.shift**2)",
        "gaussian_field::test_power_law_of_exponent_1_is_greens_function"),
    "cosines that are not differentiated": Mutation(
        "laws/spectral.py", "[constant, factor * waves[(order + 1) % 4]",
        "[constant, factor * waves[1]",
        "gaussian_field::test_derivatives_are_those_of_the_values[x-1]"),
    "samples of all splits measured": Mutation(
        "laws/samples.py", 'train = self.rows("train")', "train = self._coefficients",
        "samples::test_splits_share_no_function_and_only_training_is_measured"),
    "samples of any digest": Mutation(
        "datasets.py", "if found.digest != law.digest", "if False",
        "own_functions::test_evaluation_needs_the_very_functions"),
    "one split of the dataset for all": Mutation(
        "splits.py", "ambient.key(seed), list(SPLITS).index(split)", "ambient.key(seed), 0",
        "datasets::test_splits_and_seeds_differ"),
    # The homotopy.
    "weights ignored after the first stage": Mutation(
        "homotopy/terms/__init__.py", "jnp.asarray(self.w, float), alone", "0.0, alone",
        "terms::test_a_weight_serves_every_stage"),
    "a first stage without residual": Mutation(
        "homotopy/terms/__init__.py", "self.w or float(self.needed)", "self.w",
        "terms::test_weights_of_the_loss"),
    "a tangent left out too soon": Mutation(
        "homotopy/terms/tangent.py", "not follows or done >= self.share", "True",
        "loop::test_a_term_is_left_out_where_it_weighs_nothing"),
    "a tangent that never fades": Mutation(
        "homotopy/terms/tangent.py", "1 - done / self.share", "1.0",
        "terms::test_weights_of_the_loss"),
    "T linearised at λ_k": Mutation(
        "homotopy/terms/tangent.py", "x, a, view.stage.previous)", "x, a, view.stage.lam)",
        "terms::test_tangent_row_is_the_papers_times_dp"),
    "λ_k given for λ_{k−1}": Mutation(
        "training/loop.py",
        "self.experiment.path.at(mark.position.t) if mark.stage else lam", "lam",
        "loop::test_a_stage_follows_the_last_one"),
    "Euler's step from the tangent at λ_k": Mutation(
        "homotopy/predictors.py", "stage._replace(lam=stage.previous)", "stage",
        "predictors::test_the_tangent_is_that_of_where_the_last_stage_stands"),
    "an unguarded step for a guarded one": Mutation(
        "homotopy/predictors.py", "if self.guarded:", "if not self.guarded:",
        "predictors::test_the_tangent_is_that_of_where_the_last_stage_stands"),
    "ε linear between places": Mutation(
        "homotopy/path.py", "eps0 * (eps1 / eps0) ** part", "eps0 + part * (eps1 - eps0)",
        "path::test_steps_halve_double_and_end"),
    "steps that are never doubled": Mutation(
        "homotopy/path.py", "min(1.0, 2 * position.step)", "position.step",
        "path::test_steps_halve_double_and_end"),
    "ψ added to the rows for left out": Mutation(
        "homotopy/pin.py", "rows - self.on", "rows + self.on",
        "pin::test_a_pin_leaves_the_residual_only_what_it_can_decide"),
    "the sign of an interface's shift": Mutation(
        "homotopy/pin.py", "d -= float(", "d += float(",
        "pin::test_the_shift_of_a_front_is_measured_while_it_sharpens"),
    "σ² for σ": Mutation(
        "homotopy/slow_mode.py", "1 / jnp.sqrt(growth[:, 0])", "1 / growth[:, 0]",
        "slow_mode::test_it_is_the_smallest_singular_triplet[0.1]"),
    "S not divided by σ": Mutation(
        "homotopy/slow_mode.py", "inner / jnp.maximum(mode.sigma, _SIGMA_FLOOR)", "inner",
        "slow_mode::test_s_is_the_error_along_the_mode"),
    "adaptive points by the slope itself": Mutation(
        "samplers/adaptive.py", "jnp.sqrt(jnp.abs(jax.lax.stop_gradient(slope)))",
        "jnp.abs(jax.lax.stop_gradient(slope))",
        "adaptive::test_adaptive_points_are_dense_where_the_solution_is_steep"),
    "points drawn by |H| for |H|²": Mutation(
        "samplers/by_residual.py", "jnp.abs(residual) ** power", "jnp.abs(residual)",
        "by_residual::test_points_are_drawn_by_the_residual"),
    "the sign of H in time": Mutation(
        "homotopy/marching.py", 'u["t"] + self.problem', 'u["t"] - self.problem',
        "sequence_to_sequence::test_a_windows_answer_is_the_trained_function_at_its_end"),
    # Solvers.
    "a goal that ends nothing": Mutation(
        "training/records.py", " or loss <= criterion.goal", "",
        "criterion::test_a_loss_that_is_low_enough_ends_a_stage"),
    "one window more of patience": Mutation(
        "training/records.py", "stale >= criterion.patience", "stale > criterion.patience",
        "criterion::test_a_stalled_loss_is_brought_to_its_end_at_once"),
    "muon that is Adam": Mutation(
        "solvers/first_order.py", "optax.contrib.muon(1.0)", "optax.adam(1.0)",
        "first_order::test_optimizers_are_those_of_their_names"),
    "annealing along a line": Mutation(
        "solvers/first_order.py", "0.5 * (1 + jnp.cos(math.pi * part))", "(1 - part)",
        "first_order::test_learning_rate_warms_up_holds_and_anneals"),
    "Gauss–Newton undamped": Mutation(
        "solvers/gauss_newton_cg.py", " + state * v", "",
        "solvers::test_gauss_newton_by_conjugate_gradients_is_a_damped_least_squares_step"),
    "Kaczmarz without what is kept": Mutation(
        "solvers/kaczmarz.py", "r + jacobian @ kept", "r",
        "solvers::test_kaczmarz_on_all_rows_is_a_damped_least_squares_step"),
    "the curvature of the last stage's loss": Mutation(
        "solvers/lbfgs.py", "return self.init(params)  #", "return state  #",
        "solvers::test_what_a_solver_learned_of_one_loss_is_not_used_for_the_next"),
    "damping that grows with success": Mutation(
        "solvers/levenberg_marquardt.py", "(before - after) / foretold",
        "(after - before) / foretold",
        "solvers::test_every_solver_lowers_the_loss[LevenbergMarquardt]"),
    "a step along the tangent alone": Mutation(
        "solvers/levenberg_marquardt.py", "_BEND = 0.75", "_BEND = 0.0",
        "solvers::test_levenberg_marquardt_follows_the_curve"),
    "the fall that damping costs": Mutation(
        "least_squares.py", "+ mu * jnp.sum(z**2)", "",
        "least_squares::test_damped_steps_solve_the_augmented_problem"),
    "squares without refinement": Mutation(
        "least_squares.py", "1 + _REFINED", "1",
        "least_squares::test_squares_keep_the_digits_of_a_jacobian_of_no_rank"),
    "squares at any damping": Mutation(
        "least_squares.py", "squared = mu >= least", "squared = mu >= 0",
        "least_squares::test_damped_steps_solve_the_augmented_problem"),
    "singular values cut absolutely": Mutation(
        "least_squares.py", "sigma > rtol * sigma[0]", "sigma > rtol",
        "least_squares::test_truncated_steps_are_the_pseudo_inverses"),
    # Strategies.
    "classical training along the path": Mutation(
        "strategies/classical.py", "return path.end()", "return path",
        "strategies::test_what_every_strategy_walks_and_weighs"),
    "a curriculum in s": Mutation(
        "strategies/curriculum.py", "place._replace(s=s)", "place",
        "strategies::test_what_every_strategy_walks_and_weighs"),
    "Euler steps that are corrected": Mutation(
        "strategies/euler.py", "corrects=False", "corrects=True",
        "strategies::test_what_every_strategy_walks_and_weighs"),
    "a homotopy loss that never pins": Mutation(
        "strategies/homotopy_loss.py", "(self.condition)), pin=self.pin)", "(self.condition)))",
        "strategies::test_what_every_strategy_walks_and_weighs"),
    "a predictor without its guard": Mutation(
        "strategies/predictor_corrector.py", "guarded=True", "guarded=False",
        "strategies::test_what_every_strategy_walks_and_weighs"),
    "resampling at one power": Mutation(
        "strategies/resampling.py", "self.pool, self.power", "self.pool, 1.0",
        "strategies::test_what_every_strategy_walks_and_weighs"),
    "windows as long as the horizon": Mutation(
        "strategies/sequence_to_sequence.py", "self.horizon / self.windows", "self.horizon",
        "sequence_to_sequence::test_a_windows_answer_is_the_trained_function_at_its_end"),
    # The config.
    "the target's ε all along": Mutation(
        "config/schema.py", "max(value, self.eps_target)", "self.eps_target",
        "path::test_eps_follows_s_down_to_its_target"),
    "train.goal ignored": Mutation(
        "training/records.py", "train.min_fall, train.goal,", "train.min_fall, 0.0,",
        "loop::test_a_goal_ends_a_stage"),
    "stalls looked for while the tangent fades": Mutation(
        "training/records.py",
        "math.ceil(max([0.0, *(term.fades for term in experiment.plan.terms)]) * train.steps)", "0",
        "records::test_no_stall_is_looked_for_while_the_tangent_fades"),
    "labels act at every eps": Mutation(
        "homotopy/terms/labels.py",
        "self.some.rate * jnp.broadcast_to(self.some.here, self.some.rate.shape)", "self.some.rate",
        "labels::test_labels_act_at_their_own_eps"),
    "labels drawn beside the functions of another": Mutation(
        "homotopy/terms/labels.py", "y[..., rows], rate[..., rows]",
        "y[..., :functions], rate[..., :functions]",
        "labels::test_a_step_takes_some_labels_those_of_its_eps_first"),
    "a mean over what is not known": Mutation(
        "homotopy/terms/labels.py", "jnp.sqrt(rate.size / known)", "jnp.sqrt(known / known)",
        "labels::test_the_mean_is_that_over_the_known_values_in_units_of_their_noise"),
    "Jacobians of any size": Mutation(
        "solvers/__init__.py", "if count > _DENSE_LIMIT:", "if not count:",
        "solvers::test_what_least_squares_cannot_serve_is_refused"),
    # Training.
    "the same points at every step": Mutation(
        "training/program.py", "state.step if self.solver.redraws else 0", "0",
        "program::test_every_step_has_points_of_its_own_from_the_sampler_asked_for[uniform]"),
    "uniform points whatever the sampler": Mutation(
        "config/schema.py", "(_SAMPLERS, self.sampler)()", '(_SAMPLERS, "uniform")()',
        "program::test_every_step_has_points_of_its_own_from_the_sampler_asked_for[stratified]"),
    "one permutation for all epochs": Mutation(
        "training/feeds.py", "[seed, stage, epoch]", "[seed, stage]",
        "feeds::test_draws_are_epochs_of_permutations"),
    "fresh functions that are the same at every step": Mutation(
        "training/feeds.py", "fold_in(root, step)", "fold_in(root, 0)",
        "feeds::test_fresh_functions_are_a_function_of_the_step"),
    "the first stage's network as anchor for ever": Mutation(
        "training/program.py", "TrainState(state.params, state.params, solver",
        "TrainState(state.params, state.anchor, solver",
        "loop::test_a_stage_follows_the_last_one"),
    "a stage begun anew after an interrupt": Mutation(
        "training/loop.py", " if mark.progress is None else state), mark", "), mark",
        "loop::test_a_run_goes_on_within_a_stage"),
    # Checkpoints and what is made of them.
    "digests of bytes alone": Mutation(
        "checkpoints.py", "head + array.tobytes()", "array.tobytes()",
        "faults::test_a_digest_is_of_type_shape_and_bytes"),
    "digests that are not compared": Mutation(
        "checkpoints.py", "digests.get(name) != digest(leaf)", "name not in digests",
        "operators::test_digest_names_the_leaf"),
    "SIGTERM unheard": Mutation(
        "preemption.py", "self._heard = True", "self._heard = False",
        "faults::test_a_signal_is_heard_until_the_block_ends"),
    "pretrained networks that are none": Mutation(
        "operators.py", "return Operator(ansatz, params,",
        "return Operator(ansatz, jax.tree.map(lambda a: np.roll(a, 1), params),",
        "publishing::test_shipped_stages_are_as_good_as_their_cards_say[burgers-steady]"),
    "a stage of any s for one of s = 0": Mutation(
        "operators.py", "        s = 0.0\n", "        s = stages[0].s\n",
        "operators::test_a_stage_is_selected_by_number_or_place"),
    "the residual at s = 0 whatever the stage": Mutation(
        "operators.py", "s, own = (np.asarray(v, self.dtype) for v in self.lam)",
        "s, own = (np.asarray(v, self.dtype) for v in (0, self.lam.eps))",
        "operators::test_a_residual_is_that_of_the_derivatives_at_the_stage_s_own_place"),
    "finite by the sum alone": Mutation(
        "operators.py", "if whole.all():", "if False:",
        "operators::test_values_whose_sum_overflows_are_finite"),
    "the first function of a block alone": Mutation(
        "operators.py", "place[:] = np.asarray(u)[..., : place.shape[-2],",
        "place[..., :1, :] = np.asarray(u)[..., :1,",
        "operators::test_blocks_of_functions_and_of_points_change_nothing"),
    "the functions that fill a last block up, too": Mutation(
        "inference.py", "sensors=elsewhere)[: n - at]", "sensors=elsewhere)",
        "inference::test_files_of_every_kind"),
    "solutions that nobody may write to": Mutation(
        "operators.py", 'u = np.require(u, requirements="W")', "pass",
        "operators::test_unknowns_are_stacked_and_calls_give_arrays_of_ones_own"),
    "a last look for garbage": Mutation(
        "cli.py", "    gc.freeze()", "    pass",
        "cli::test_the_end_of_a_command_looks_for_no_more_garbage"),
    "files of one's own that end unwritten": Mutation(
        "cli.py", "    _flush_files()\n", "",
        "cli::test_the_end_of_a_command_looks_for_no_more_garbage"),
    "words lost on a full disk, and nothing said": Mutation(
        "cli.py", "_Lasting.lost = error", "pass",
        "cli::test_a_full_disk_behind_the_output_is_one_line_and_ends_nothing"),
    "a call within jit at no points": Mutation(
        "operators.py", "if not len(x):", "if False:",
        "operators::test_no_points_and_no_functions"),
    "decoded examples of another dataset": Mutation(
        "datasets.py", "return data if same and right", "return data if right",
        "datasets::test_decoded_examples_are_kept_while_they_are_those_of_the_dataset"),
    "an interrupt within an import as an error": Mutation(
        "cli.py", "if _of_an_interrupt(error):", "if isinstance(error, KeyboardInterrupt):",
        "cli::test_an_error_that_an_interrupt_led_to_is_one"),
    "a shard of inference in the place of the first": Mutation(
        "inference.py", "sink.add, k, k * rows, part", "sink.add, k, 0, part",
        "inference::test_files_of_every_kind"),
    "a card that says too much": Mutation(
        "publishing.py", 'f"{value:.1e}"', 'f"{value / 10:.1e}"',
        "publishing::test_shipped_models[burgers-steady]"),
    "the farthest stage for the nearest": Mutation(
        "refinement.py", "math.log(i.eps / eps)", "-math.log(i.eps / eps)",
        "publishing::test_the_nearest_stage_is_before_its_refinement"),
    "s for ε beside an export": Mutation(
        "exporting.py", '"eps": operator.eps', '"eps": operator.s',
        "exporting::test_weights_by_name"),
    "the digest of an export not compared": Mutation(
        "standalone.py", '!= about["sha256"]', '== ""',
        "exporting::test_a_damaged_program_is_not_run"),
    "an export of one ε for all": Mutation(
        "exporting.py", "lam = own._replace(eps=eps)", "lam = own",
        "exporting::test_eps_is_an_argument_in_onnx"),
    "an ONNX program that nobody compares": Mutation(
        "exporting.py", "if not error <= _CLOSE * size", "if error < 0",
        "exporting::test_an_onnx_program_that_is_wrong_is_not_written"),
    "an export of another jax that is not refused": Mutation(
        "standalone.py", "except Exception as error", "except TypeError as error",
        "exporting::test_a_program_that_this_jax_does_not_load_is_refused_by_name"),
    "a sum of a broadcast in ONNX as of one": Mutation(
        "translation.py", 'operator in ("ReduceSum", "ReduceProd")', "False",
        "translation::test_values_are_those_of_jax[a sum of a broadcast]"),
    "a part of an array in ONNX from its start": Mutation(
        "translation.py", "cut.append((axis, start,", "cut.append((axis, 0,",
        "translation::test_values_are_those_of_jax[parts]"),
    # Scores and reports.
    "L2RE in L1": Mutation(
        "evaluation.py",
        "np.sqrt(off**2 @ weights) / np.sqrt(r[:, some] ** 2 @ weights)",
        "np.abs(off) @ weights / (np.abs(r[:, some]) @ weights)",
        "evaluation::test_errors_are_relative_and_in_l2"),
    "L2RE by the largest value": Mutation(
        "evaluation.py", "/ np.sqrt(r[:, some] ** 2 @ weights)", "/ np.max(np.abs(r))",
        "evaluation::test_errors_are_relative_and_in_l2"),
    "the loss unweighted": Mutation(
        "evaluation.py", "float(0.5 * np.mean(made))", "float(np.mean(made))",
        "evaluation::test_the_loss_is_half_the_mean_square"),
    "the best function for the worst": Mutation(
        "evaluation.py", '"l2re_worst": np.max', '"l2re_worst": np.min',
        "evaluation::test_scores_are_mean_median_and_worst_over_the_functions"),
    "scores on the training split, in training": Mutation(
        "training/loop.py", '"validation", _judged(experiment', '"train", _judged(experiment',
        "evaluation::test_functions_that_score_are_held_out"),
    "scores on the training split, after it": Mutation(
        "evaluation.py", 'cls.of(experiment, "test", count', 'cls.of(experiment, "train", count',
        "evaluation::test_functions_that_score_are_held_out"),
    "ten times the error along the slow mode": Mutation(
        "trust.py", "error = projected / sigma", "error = 10 * projected / sigma",
        "trust::test_it_recovers_a_known_error"),
    "an interface left of its place for right": Mutation(
        "trust.py", "-math.copysign(shift,", "math.copysign(shift,",
        "trust::test_it_recovers_a_known_error"),
    "ten times σ, place and error in reports": Mutation(
        "evaluation.py", "np.median(getattr(found, k))", "10 * np.median(getattr(found, k))",
        "trust::test_a_report_holds_what_the_gauge_found"),
    "ten times σ in tables": Mutation(
        "console.py", "{gauge['sigma']:.1e}", "{10 * gauge['sigma']:.1e}",
        "trust::test_a_report_holds_what_the_gauge_found"),
    "ten times place ± in tables": Mutation(
        "console.py", "{gauge['shift']:.1e}", "{10 * gauge['shift']:.1e}",
        "trust::test_a_report_holds_what_the_gauge_found"),
    "the whole loss for the residual in pictures": Mutation(
        "plotting.py", '("total_steps", name)', '("total_steps", "total")',
        "plotting::test_a_picture_of_losses_is_that_of_the_residual_stage_by_stage"),
    "means for medians in published tables": Mutation(
        "reproduce/parts.py", "np.median(values)", "np.mean(values)",
        "reproduce::test_pages_are_rendered_from_their_results"),
    # Systems, inputs, what λ does.
    "the last stage's network at the next place": Mutation(
        "homotopy/terms/tangent.py", "before = view.stage.previous", "before = view.stage.lam",
        "problem::test_where_the_lift_follows_the_path_nothing_is_left_to_do"),
    "equations without their weights": Mutation(
        "homotopy/terms/__init__.py", "roots = jnp.sqrt(", "roots = jnp.ones_like(",
        "problem::test_the_weight_of_a_single_equation"),
    "Δ over time too": Mutation(
        "derivatives.py", 'return dim - any("t" in label for label in labels)', "return dim",
        "ansatz_parts::test_laplacian_and_gradient_of_an_operator"),
    "two inputs of one law alike": Mutation(
        "datasets.py", "np.resize(order, wanted)", "np.arange(wanted)",
        "inputs::test_inputs_of_one_law_are_independent"),
    "branches multiplied without the 1": Mutation(
        "networks/deeponet.py", "[1 + branch(name)", "[branch(name)",
        "networks::test_branches_combine_as_a_sum_of_the_linear_times_a_product_of_the_others"),
    "a trace that stays where it is": Mutation(
        "derivatives.py", "(there(x + h[None, :]) - start).T", "(0 * there(x + h[None, :])).T",
        "ansatz_parts::test_traces_in_two_dimensions"),
    "a wall that nobody misses": Mutation(
        "examining.py", "> 1e-9 * (1 + np.abs(one).max())", "> 1e9",
        "examining::test_a_wall_that_is_forgotten"),
    # References, kernels, devices.
    "a differentiation matrix wrong at its ends": Mutation(
        "references/chebyshev.py", "c[[0, n]] = 2", "c[[0, n]] = 1",
        "chebyshev::test_allen_cahn_reference_solves_the_equation"),
    "even functions taken for odd ones": Mutation(
        "references/chebyshev_2d.py", "return inner + d[", "return inner - d[",
        "chebyshev_2d::test_halving_the_unknowns_changes_nothing"),
    "one ε for all points of a range": Mutation(
        "homotopy/terms/__init__.py",
        "self.stage.lam if eps is None else self.stage.lam._replace(eps=eps[None])",
        "self.stage.lam",
        "ranges::test_conditions_are_asked_for_along_the_range"),
    "points in the layers of the stage's lowest ε": Mutation(
        "training/program.py", "lam = lam._replace(eps=eps)", "pass",
        "ranges::test_training_draws_in_the_layers_of_its_eps"),
    "the widest range that holds an ε": Mutation(
        "operators.py", "max(j.eps for j in found)", "min(j.eps for j in found)",
        "ranges::test_a_stage_answers_for_its_range"),
    "ε even in itself": Mutation(
        "samplers/__init__.py",
        "jnp.exp(below + (above - below) * (1.08 * unit - 0.04))",
        "low + (high - low) * unit",
        "ranges::test_eps_is_even_in_its_logarithm"),
    "a weight of the Runge–Kutta method": Mutation(
        "references/spectral.py", "2 * f2 * (na + nb)", "f2 * (na + nb)",
        "cole_hopf::test_it_agrees_with_the_spectral_solver[0.1-64-800]"),
    "a first integral without its 2": Mutation(
        "references/double_well.py", "eps / np.sqrt(2 * (ratio", "eps / np.sqrt((ratio",
        "double_well::test_the_first_integral_agrees_with_newton"),
    "one-sided differences": Mutation(
        "references/finite_differences.py", "(right - left) / (2 * dx)", "(right - mid) / dx",
        "finite_differences::test_explicit_finite_differences_converge_to_newton_at_second_order"),
    "second differences of half the middle": Mutation(
        "kernels.py", "(one - 2 * np.eye(n) + one.T)", "(one - np.eye(n) + one.T)",
        "kernels::test_k_is_d_s_d_to_second_order_and_spectrally"),
    "a stencil of second order": Mutation(
        "references/numerov.py", "(F[:-2] + 10 * F[1:-1] + F[2:]) / 12", "F[1:-1]",
        "numerov::test_errors_are_of_fourth_order"),
    "Newton's steps always whole": Mutation(
        "references/galerkin.py", "share > _LEAST", "False",
        "galerkin::test_steps_are_halved_where_they_lead_away"),
    "a guess that is not looked at": Mutation(
        "references/chebyshev.py", "if guess is None else guess(x.reshape(-1, 1))",
        "if True else guess(x.reshape(-1, 1))",
        "polishing::test_it_ends_at_the_reference_sooner_than_from_nothing"),
    "modes of half their size": Mutation(
        "laws/gaussian_field.py", "std = jnp.sqrt(n * jnp.asarray(self.spectrum))",
        "std = jnp.sqrt(n * jnp.asarray(self.spectrum)) / 2",
        "feeds::test_the_loss_over_modes_is_its_mean_over_the_law"),
    "parameters split by their first axis": Mutation(
        "sharding.py", "leaf.shape[-1] % size", "leaf.shape[0] % size",
        "program::test_parameters_lie_along_the_model_axis_by_their_last_axis"),
}
# fmt: on


def nodes(mutations: Iterable[Mutation]) -> list[str]:
    """The tests of mutations as pytest takes them, each once."""
    found = []
    for mutation in mutations:
        file, test = mutation.tests.split("::")
        paths = (ROOT / "tests").rglob(f"test_{file}.py")
        found += [f"{path.relative_to(ROOT)}::{test}" for path in paths]
    return list(dict.fromkeys(found))


def stale() -> list[str]:
    """What of the list is not in the code any more."""
    found = []
    for name, m in MUTATIONS.items():
        count = m.file(ROOT).read_text(encoding="utf-8").count(m.old)
        if count != 1:
            found.append(f"{name}: {m.path} holds {m.old!r} {count} times")
        test = m.tests.split("::")[1].partition("[")[0]
        texts = [(ROOT / node.split("::")[0]).read_text(encoding="utf-8") for node in nodes([m])]
        if not re.search(rf"^def {test}\(", "".join(texts), re.MULTILINE):
            found.append(f"{name}: no test {m.tests}")
    return found


def copy(source: Path, folder: Path) -> None:
    """The packages and their tests in a folder of their own, the rest by links."""
    folder.mkdir()
    for path in source.iterdir():
        if path.name in ("hop", "reproduce", "tests"):
            shutil.copytree(path, folder / path.name)  # with compiled files, whose times stay valid
        elif not path.name.startswith("."):
            (folder / path.name).symlink_to(path.resolve())
    (ROOT / COMPILED).mkdir(parents=True, exist_ok=True)
    (folder / COMPILED.parent).mkdir()
    (folder / COMPILED).symlink_to(ROOT / COMPILED)


def run(folder: Path, tests: list[str], data: Path) -> tuple[int, str]:
    """Whether tests pass in a copy (0), one fails (1) or they do not run; and what pytest says."""
    words = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests]
    env = os.environ | {"PYTHONPATH": str(folder), "HOP_TEST_DATA": str(data)}
    try:
        done = subprocess.run(
            words, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return 1, f"more than {LIMIT} s"
    return done.returncode, done.stdout + done.stderr


def main(names: list[str], jobs: int) -> int:
    if found := stale():
        print("\n".join(found))
        return 1
    began = time.monotonic()
    chosen = {name: MUTATIONS[name] for name in names or MUTATIONS}
    with tempfile.TemporaryDirectory() as place:
        clean, data = Path(place) / "clean", Path(place) / "datasets"
        copy(ROOT, clean)
        code, said = run(clean, nodes(chosen.values()), data)
        print(f"without any  {time.monotonic() - began:5.0f} s", flush=True)
        if code:
            print(f"the tests do not pass without a mutation:\n{said[-3000:]}")
            return 1

        def verdict(name: str) -> str:
            started, mutation = time.monotonic(), chosen[name]
            folder = Path(place) / str(list(chosen).index(name))
            copy(clean, folder)
            path = mutation.file(folder)
            text = path.read_text(encoding="utf-8").replace(mutation.old, mutation.new)
            path.write_text(text, encoding="utf-8")
            code, said = run(folder, nodes([mutation]), data)
            shutil.rmtree(folder)
            what = {0: "SURVIVES", 1: "noticed"}.get(code, "NOT RUN")
            line = f"{what:12} {time.monotonic() - started:5.0f} s  {name}: {mutation.tests}"
            print(line if code in (0, 1) else f"{line}\n{said[-2000:]}", flush=True)
            return what

        with ThreadPoolExecutor(jobs) as pool:
            verdicts = list(pool.map(verdict, chosen))
    noticed = verdicts.count("noticed")
    print(f"{noticed} of {len(verdicts)} noticed in {time.monotonic() - began:.0f} s")
    return 0 if noticed == len(verdicts) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Changes the code, and has tests notice.")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="mutations at a time")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of mutations; default: all")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MUTATIONS):
        parser.error(f"no mutation {', '.join(map(repr, unknown))}")
    sys.exit(main(options.names, options.jobs))
