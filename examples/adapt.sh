#!/bin/sh
# Adapts the embedded model to cells of your own microscope, and says whether that was worth it:
#
#     examples/adapt.sh own_cells own-model
#
# own_cells holds the folders Parasitized and Uninfected, with a few hundred cells of ten patients
# or more. If the names of the images are not like those of the NIH/NLM set, say in MORE which
# patient an image is of: MORE='--patient-folders' or MORE='--patient-pattern ([^/_]+)_'.
#
# A fifth of the patients is kept out of training; by them the adapted model is compared with the
# embedded one. The exit code is 4 where its sensitivity or specificity is below 0.9: then use the
# embedded model on, and label more cells.
set -eu
cells=$1
model=$2

# Exit code 3: done, but some images could not be read, and malscan has named them.
unreadable_only() {
    [ "$1" -eq 3 ] || exit "$1"
}

# shellcheck disable=SC2086 # MORE holds several words.
malscan train "$cells" --from embedded --out "$model" ${MORE:-} || unreadable_only $?
# shellcheck disable=SC2086
malscan evaluate "$cells" --model "$model" --compare embedded --out "$model-check" \
    --min-sensitivity 0.9 --min-specificity 0.9 ${MORE:-} || unreadable_only $?
echo "Use it with: malscan scan ./slides --out report.csv --model $model"
