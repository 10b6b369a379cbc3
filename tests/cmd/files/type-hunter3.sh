#!/bin/sh
# Someone who types.
sed -i.old "s/hunter2/hunter3/" "$1" && rm "$1.old"
