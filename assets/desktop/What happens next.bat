@echo off
rem Windows: double-click to open the story room in a window of its own. Finds the program from its own place.
setlocal
title What happens next?
cd /d "%~dp0..\.." || goto nowhere
if not exist launch.py goto nowhere

set "TEST=import sys; sys.exit(sys.version_info < (3, 11))"
if exist ".venv\Scripts\python.exe" (
    ".venv\Scripts\python.exe" -c "%TEST%" >nul 2>&1 && set "PY_EXE=.venv\Scripts\python.exe" && goto found
)
rem The py launcher knows every Python that python.org installed; `python` may be the Store's empty door, which fails here.
for %%V in (3.14 3.13 3.12 3.11) do (
    py -%%V -c "%TEST%" >nul 2>&1 && set "PY_EXE=py -%%V" && goto found
)
python -c "%TEST%" >nul 2>&1 && set "PY_EXE=python" && goto found
python3 -c "%TEST%" >nul 2>&1 && set "PY_EXE=python3" && goto found

echo.
echo Python 3.11 or newer is needed and was not found.
echo Install it from https://www.python.org/downloads/ (tick "Add python.exe to PATH"), then start this again.
echo.
pause
exit /b 1

:found
%PY_EXE% launch.py --window %*
set "CODE=%ERRORLEVEL%"
if "%CODE%"=="0" exit /b 0
if "%CODE%"=="130" exit /b 0
echo.
echo The story room ended with an error (exit code %CODE%); what it said is above.
echo.
pause
exit /b %CODE%

:nowhere
echo.
echo The program is not where this starter expects it: leave the starter in assets\desktop of the folder that you
echo downloaded. On Windows, unpack the zip first.
echo.
pause
exit /b 1
