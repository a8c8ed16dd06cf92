#!/bin/sh
# The installed Chromium. To the features that Playwright switches off, in an argument that counts only once, are added
# the pages that draw what an address bar suggests: each window loads them, and nobody sees them without a screen.
for argument; do
    shift
    case $argument in
        --disable-features=*) argument=$argument,WebUIOmniboxPopup,WebUIOmniboxAimPopup ;;
    esac
    set -- "$@" "$argument"
done
exec chromium "$@"
