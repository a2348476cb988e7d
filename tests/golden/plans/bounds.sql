-- title: bounds by test come from the filter on test
SELECT avg(value) FROM liver.measurements WHERE test = 'hdl';
--> reads liver.measurements (at most 60 rows a person count): patient_id, test, value
--> keeps rows where test = 'hdl'
--> measure 1: sum of deviations of value, clamped to 10 .. 150 in steps of 0.01
--> measure 2: count of rows
--> each person counts with at most 60 rows
--> shows avg(value): mean from measures 1 and 2

-- title: of several tests the widest hold
SELECT avg(value) FROM liver.measurements WHERE test IN ('hdl', 'fib4');
--> reads liver.measurements (at most 60 rows a person count): patient_id, test, value
--> keeps rows where test in ('hdl', 'fib4')
--> measure 1: sum of deviations of value, clamped to 0 .. 150 in steps of 0.01
--> measure 2: count of rows
--> each person counts with at most 60 rows
--> shows avg(value): mean from measures 1 and 2

-- title: bounds by test come from FILTER and CASE
SELECT avg(value) FILTER (WHERE test = 'sbp') AS sbp, avg(CASE WHEN test = 'hdl' THEN value END) AS hdl FROM liver.measurements;
--> reads liver.measurements (at most 60 rows a person count): patient_id, test, value
--> measure 1: sum of deviations of value, clamped to 10 .. 150 in steps of 0.01 where test = 'hdl'
--> measure 2: sum of deviations of value, clamped to 60 .. 260 in steps of 0.01 where test = 'sbp'
--> measure 3: count of rows where test = 'hdl'
--> measure 4: count of rows where test = 'sbp'
--> each person counts with at most 60 rows
--> shows sbp: mean from measures 2 and 4
--> shows hdl: mean from measures 1 and 3

-- title: a filter on the column itself narrows its bounds
SELECT sum(age) FROM liver.patients WHERE age BETWEEN 40 AND 60;
--> reads liver.patients (one row a person): patient_id, age
--> keeps rows where (age >= 40) and (age <= 60)
--> measure 1: sum of age, clamped to 40 .. 60 in steps of 1
--> each person counts with one row
--> shows sum(age): measure 1, in years

-- title: bounds written into the question
SELECT avg(least(greatest(raw, 0), 10)) FROM liver.measurements;
--> reads liver.measurements (at most 60 rows a person count): patient_id, raw
--> measure 1: sum of deviations of least(greatest(raw, 0), 10), clamped to 0 .. 10 in steps of 0.0001
--> measure 2: count of rows where raw is not null
--> each person counts with at most 60 rows
--> shows avg(least(greatest(raw, 0), 10)): mean from measures 1 and 2

-- title: arithmetic carries bounds and steps along
SELECT avg(2 * bmi + 0.5), avg(-bmi), avg(abs(bmi - 25)), avg(bmi * bmi), avg(sqrt(bmi)), avg(round(bmi)) FROM liver.patients;
--> reads liver.patients (one row a person): patient_id, bmi
--> measure 1: sum of deviations of abs(bmi - 25), clamped to 0 .. 45 in steps of 0.01
--> measure 2: sum of deviations of (2 * bmi) + 0.5, clamped to 20.5 .. 140.5 in steps of 0.02
--> measure 3: sum of deviations of bmi * bmi, clamped to 100 .. 4900 in steps of 0.0001
--> measure 4: sum of deviations of -bmi, clamped to -70 .. -10 in steps of 0.01
--> measure 5: sum of deviations of round(bmi), clamped to 10 .. 70 in steps of 1
--> measure 6: sum of deviations of sqrt(bmi), clamped to 3.16227 .. 8.36661 in steps of 1e-05
--> measure 7: count of rows where sqrt(bmi) is not null
--> measure 8: count of rows where bmi is not null
--> each person counts with one row
--> shows avg(2 * bmi + 0.5): mean from measures 2 and 8
--> shows avg(-bmi): mean from measures 4 and 8, in kg/m2
--> shows avg(abs(bmi - 25)): mean from measures 1 and 8, in kg/m2
--> shows avg(bmi * bmi): mean from measures 3 and 8
--> shows avg(sqrt(bmi)): mean from measures 6 and 7
--> shows avg(round(bmi)): mean from measures 5 and 8, in kg/m2

-- title: a difference of two tests
SELECT avg(a.value - b.value) FROM liver.measurements a JOIN liver.measurements b USING (patient_id, day) WHERE a.test = 'sbp' AND b.test = 'hdl';
--> reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> joins on the person where measurements.day = measurements#2.day:
-->   reads liver.measurements (at most 60 rows a person count): patient_id, day, test, value
--> keeps rows where (measurements#2.test = 'hdl') and (measurements.test = 'sbp')
--> measure 1: sum of deviations of measurements.value - measurements#2.value, clamped to -90 .. 250 in steps of 0.01
--> measure 2: count of rows
--> each person counts with at most 3600 rows
--> shows avg(a.value - b.value): mean from measures 1 and 2

-- title: a long sum of scores
SELECT avg(0.2 * rs1000 + 0.1 * rs1001 + 0.4 * rs1002 + 0.1 * rs1003 + 0.3 * rs1004 + 0.2 * rs1005 + 0.1 * rs1006 + 0.1 * rs1007 + 0.5 * rs1008 + 0.1 * rs1009) AS score FROM panel.snps;
--> reads panel.snps (one row a person): sample, rs1000, rs1001, rs1002, rs1003, rs1004, rs1005, rs1006, rs1007, rs1008, rs1009
--> measure 1: sum of deviations of ((((0.3 * rs1004) + (0.2 * rs1005)) + ((0.1 * rs1006) + (0.1 * rs1007))) + (((0.4 * rs1002) + (0.1 * rs1003)) + ((0.2 * rs1000) + (0.1 * rs1001)))) + ((0.5 * rs1008) + (0.1 * rs1009)), clamped to 0 .. 4.2 in steps of 0.1
--> measure 2: count of rows where rs1000 is not null and rs1001 is not null and rs1002 is not null and rs1003 is not null and rs1004 is not null and rs1005 is not null and rs1006 is not null and rs1007 is not null and rs1008 is not null and rs1009 is not null
--> each person counts with one row
--> shows score: mean from measures 1 and 2
